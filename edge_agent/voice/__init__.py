"""Spoken questions and spoken answers, all on the device."""
