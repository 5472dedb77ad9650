"""The sources that the paper itself names, by their published formats; no recording of them is here."""
