"""Days by name: "yesterday", "last Monday", "3 March"; seen from a moment and a place.

Calendar dates go to dateparser (in the extra `memory`), which is loaded when one is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from edge_agent.memory.clock_words import day_bounds_ns, instant_ns, local
from edge_agent.memory.queries import Span

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec"
)
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = (
    rf"(?:the )?{_ORDINAL}(?: of)? (?:{_MONTHS})(?: \d{{4}})?"
    rf"|(?:{_MONTHS}) (?:the )?{_ORDINAL}(?:,? \d{{4}})?"
)
DAY = (
    rf"today|yesterday|the day before yesterday|(?:on )?(?:last |this )?(?:{'|'.join(_WEEKDAYS)})"
    rf"|(?:on )?(?:{_DATE}|\d{{4}}-\d\d-\d\d)"
)
"""What `Now.named` knows."""


class PhraseError(ValueError):
    """A time that cannot be meant; the message is a sentence for who asked."""


@dataclass(frozen=True, slots=True)
class Now:
    """The moment (wall ns) and the place that a time is said at."""

    now_ns: int
    zone: tzinfo

    @property
    def today(self) -> date:
        """The day of that moment."""
        return local(self.now_ns, self.zone).date()

    def at(self, day: date, at: time) -> int:
        """The wall ns of a local time."""
        return instant_ns(day, at, self.zone)

    def day(self, day: date, days: int = 1) -> Span:
        """From one midnight to another."""
        return Span(*day_bounds_ns(day, self.zone, days))

    def named(self, text: str | None) -> date:
        """The day that DAY matched, or today. Raises PhraseError for a date that is none."""
        said = (text or "today").removeprefix("on ").strip()
        simple = {"today": 0, "yesterday": 1, "the day before yesterday": 2}
        if said in simple:
            return self.today - timedelta(days=simple[said])
        name = said.removeprefix("last ").removeprefix("this ")
        if name in _WEEKDAYS:
            back = (self.today.weekday() - _WEEKDAYS.index(name)) % 7
            return self.today - timedelta(days=back or (7 if said.startswith("last ") else 0))
        return self._parsed(said)

    def _parsed(self, said: str) -> date:
        try:
            from dateparser.date import DateDataParser  # noqa: PLC0415  # 10 MB, rarely needed
        except ModuleNotFoundError as error:
            raise PhraseError(
                f"I cannot read the date \"{said}\" without dateparser: pip install 'iotlm-edge[memory]'."
            ) from error
        base = local(self.now_ns, self.zone).replace(tzinfo=None)
        settings = {"RELATIVE_BASE": base, "PREFER_DATES_FROM": "past", "RETURN_AS_TIMEZONE_AWARE": False}
        plain = said.removeprefix("the ").replace(" of ", " ").replace(" the ", " ")
        found: datetime | None = DateDataParser(["en"], settings=settings).get_date_data(plain).date_obj
        if found is None:
            raise PhraseError(f'I know no date "{said}".')
        return found.date()
