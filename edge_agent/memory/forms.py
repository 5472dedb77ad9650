"""How what is remembered may be said: for each kind of answer its sentences, with places for the facts. Pure.

The first sentence of a kind is the one that the rules say. The others are for a language model, which has
seen all of them in training: the second answers a question that is no whole sentence ("last dog barking?"),
the third one that is an order ("tell me when ..."). No number, label or sensor is named in any of them.
"""

from __future__ import annotations

CAUTION = "caution"
"""A fact that may be there beside those of any kind: what was not seen, or how old the data are."""

FORMS: dict[str, tuple[str, ...]] = {
    "last": (
        "I last read {what} {at}, for {duration} ({proof}).",
        "{at}: {what}, for {duration} ({proof}).",
        "The last time was {at}: {what}. It went on for {duration} ({proof}).",
    ),
    "now": (
        "I read {what} now, since {since}, for {duration} so far ({proof}).",
        "Now: {what}, since {since}, for {duration} so far ({proof}).",
        "It is so now: {what}. It has been so since {since}, for {duration} so far ({proof}).",
    ),
    "first": (
        "I first read {what} {at}, for {duration} ({proof}).",
        "{at}: {what}, for {duration} ({proof}).",
        "The first time was {at}: {what}. It went on for {duration} ({proof}).",
    ),
    "never": (
        "I have not read {what} {when}.",
        "Not {when}: {what}.",
        "There is no time to tell of: I have not read {what} {when}.",
    ),
    "still": (
        "I read {what} since {since}, for {duration} so far ({proof}).",
        "Since {since}: {what}, for {duration} so far ({proof}).",
        "It is still so: {what}. It began {since} and has been so for {duration} ({proof}).",
    ),
    "over": (
        "I do not read {what} now. It ended {end}, after {duration} ({proof}).",
        "Over since {end}: {what}, after {duration} ({proof}).",
        "It is over: I read {what} until {end}, for {duration} ({proof}).",
    ),
    "how long": (
        "I read {what} for {duration} {when}, {times}: {moments} ({proof}).",
        "{duration} {when}: {what}, {times}, {moments} ({proof}).",
        "The time of {what} {when} was {duration}. It was read {times}: {moments} ({proof}).",
    ),
    "how often": (
        "I read {what} {times} {when}, for {duration}: {moments} ({proof}).",
        "{times} {when}: {what}, for {duration}, {moments} ({proof}).",
        "The count for {what} {when} is this: {times}, for {duration}, {moments} ({proof}).",
    ),
    "yes": (
        "Yes. I read {what} {times} {when}, for {duration}: {moments} ({proof}).",
        "Yes, {times} {when}: {what}, for {duration}, {moments} ({proof}).",
        "Yes, that is so: I read {what} {when}, {times}, for {duration}, {moments} ({proof}).",
    ),
    "none": (
        "I did not read {what} {when}.",
        "Not {when}: {what}.",
        "There is nothing to tell: I did not read {what} {when}.",
    ),
    "no": (
        "No. I did not read {what} {when}.",
        "No, not {when}: {what}.",
        "No, that is not so: I did not read {what} {when}.",
    ),
    "events": (
        "{when}: {events}.",
        "{when} in short: {events}.",
        "This is what I read {when}: {events}.",
    ),
    "nothing": (
        "I read nothing that I am sure of {when}.",
        "{when}: nothing that I am sure of.",
        "There is nothing to tell: I read nothing that I am sure of {when}.",
    ),
    "before": (
        "Before that: {events}.",
        "Before: {events}.",
        "This is what I read before that: {events}.",
    ),
    "nothing before": (
        "I remember nothing before that.",
        "Before: nothing that I remember.",
        "There is nothing to tell: I remember nothing before that.",
    ),
    "after": (
        "After that: {events}.",
        "After: {events}.",
        "This is what I read after that: {events}.",
    ),
    "nothing after": (
        "I read nothing new after that.",
        "After: nothing new.",
        "There is nothing to tell: I read nothing new after that.",
    ),
    "most often": (
        "Most often {when} was {what}, {value} ({proof}); then {events}.",
        "{what} most often {when}: {value} ({proof}); then {events}.",
        "The most frequent {when} was {what}: {value} ({proof}); then {events}.",
    ),
    "longest": (
        "Longest {when} was {what}, for {value} ({proof}); then {events}.",
        "{what} longest {when}: {value} ({proof}); then {events}.",
        "The most of the time {when} was {what}: {value} ({proof}); then {events}.",
    ),
    "more": (
        "I read {what} {value} {when} and {other} {then}, so {change} more ({proof}).",
        "{change} more: {what}, {value} {when} and {other} {then} ({proof}).",
        "The comparison of {what}: {value} {when} and {other} {then}, so {change} more ({proof}).",
    ),
    "less": (
        "I read {what} {value} {when} and {other} {then}, so {change} less ({proof}).",
        "{change} less: {what}, {value} {when} and {other} {then} ({proof}).",
        "The comparison of {what}: {value} {when} and {other} {then}, so {change} less ({proof}).",
    ),
    "as much": (
        "I read {what} as much {when} as {then}: {value} ({proof}).",
        "As much {when} as {then}: {what}, {value} ({proof}).",
        "The comparison of {what}: {value}, as much {when} as {then} ({proof}).",
    ),
    "each": (
        "In turn: {events}.",
        "Each: {events}.",
        "This is how each was: {events}.",
    ),
    "unusual": (
        "{when}. {events}.",
        "Unusual {when}. {events}.",
        "This was unusual {when}. {events}.",
    ),
    "nothing unusual": (
        "I noticed nothing unusual {when}.",
        "Nothing unusual {when}.",
        "There is nothing to tell: I noticed nothing unusual {when}.",
    ),
    "sensors": (
        "{when}: {events}.",
        "Sensors {when}: {events}.",
        "This is how my sensors did {when}: {events}.",
    ),
    "no data": (
        "I had no data {sources} {when}, so I cannot say.",
        "No data {sources} {when}, so I cannot say.",
        "I cannot say: I had no data {sources} {when}.",
    ),
    "no data ever": (
        "I remember no data {sources} at all.",
        "No data {sources} at all.",
        "I cannot say: I remember no data {sources} at all.",
    ),
    "told by": (
        "{sensors} told me, in {count} windows of data.",
        "{sensors}, in {count} windows of data.",
        "I have it from {sensors}, in {count} windows of data.",
    ),
    "told by none": (
        "None told me: I know it because nothing was read {sources}.",
        "None: nothing was read {sources}.",
        "I have it from none: nothing was read {sources}.",
    ),
    "sure": (
        "I am {share} sure, over {count} windows of data.",
        "{share} sure, over {count} windows of data.",
        "This is how sure I am: {share}, over {count} windows of data.",
    ),
    "sure of none": (
        "I am as sure as my data are complete: nothing of the kind was read.",
        "As sure as my data are complete: nothing of the kind was read.",
        "Nothing of the kind was read, and I am as sure as my data are complete.",
    ),
    "highest": (
        "{number} was {value} at its highest {when}, {at} ({proof}).",
        "{value} {at}: the highest of {number} {when} ({proof}).",
        "The highest value of {number} {when} was {value}, {at} ({proof}).",
    ),
    "lowest": (
        "{number} was {value} at its lowest {when}, {at} ({proof}).",
        "{value} {at}: the lowest of {number} {when} ({proof}).",
        "The lowest value of {number} {when} was {value}, {at} ({proof}).",
    ),
    "value": (
        "{number} was {value} {at} ({proof}).",
        "{value} {at}: {number} ({proof}).",
        "The value of {number} {at} was {value} ({proof}).",
    ),
    "average": (
        "{number} was {average} on average {when} ({proof}).",
        "{average} on average {when}: {number} ({proof}).",
        "The average of {number} {when} was {average} ({proof}).",
    ),
    "range": (
        "{number} was between {low} and {high} {when}, {average} on average ({proof}).",
        "Between {low} and {high} {when}: {number}, {average} on average ({proof}).",
        "The values of {number} {when} were between {low} and {high}, {average} on average ({proof}).",
    ),
    "rose": (
        "{number} rose by {change} {when}, from {value} {at} to {now} {end} ({proof}).",
        "Up by {change} {when}: {number}, from {value} {at} to {now} {end} ({proof}).",
        "The change of {number} {when}: it rose by {change}, from {value} {at} to {now} {end} ({proof}).",
    ),
    "fell": (
        "{number} fell by {change} {when}, from {value} {at} to {now} {end} ({proof}).",
        "Down by {change} {when}: {number}, from {value} {at} to {now} {end} ({proof}).",
        "The change of {number} {when}: it fell by {change}, from {value} {at} to {now} {end} ({proof}).",
    ),
    "same": (
        "{number} was the same at both ends {when}: {value} {at} and {end} ({proof}).",
        "No change {when}: {number}, {value} {at} and {end} ({proof}).",
        "There was no change of {number} {when}: it was {value} {at} and {end} ({proof}).",
    ),
    "higher": (
        "{number} was {value} {when} and {other} {then}, so {change} higher ({proof}).",
        "{change} higher: {number}, {value} {when} and {other} {then} ({proof}).",
        "The comparison of {number}: {value} {when} and {other} {then}, so {change} higher ({proof}).",
    ),
    "lower": (
        "{number} was {value} {when} and {other} {then}, so {change} lower ({proof}).",
        "{change} lower: {number}, {value} {when} and {other} {then} ({proof}).",
        "The comparison of {number}: {value} {when} and {other} {then}, so {change} lower ({proof}).",
    ),
    "equal": (
        "{number} was the same {when} as {then}: {value} ({proof}).",
        "The same {when} as {then}: {number}, {value} ({proof}).",
        "The comparison of {number}: {value}, the same {when} as {then} ({proof}).",
    ),
    "above": (
        "Yes. {number} was {limit} {when} {times}; the highest was {value} ({proof}).",
        "Yes, {times} {when}: {number}, {limit}, the highest was {value} ({proof}).",
        "Yes, that is so: {number} was {limit} {when} {times}. The highest was {value} ({proof}).",
    ),
    "not above": (
        "No. {number} was not {limit} {when}: the highest was {value}, {at} ({proof}).",
        "No, not {limit} {when}: {number}, the highest was {value}, {at} ({proof}).",
        "No, that is not so: {number} was not {limit} {when}. The highest was {value}, {at} ({proof}).",
    ),
    "below": (
        "Yes. {number} was {limit} {when} {times}; the lowest was {value} ({proof}).",
        "Yes, {times} {when}: {number}, {limit}, the lowest was {value} ({proof}).",
        "Yes, that is so: {number} was {limit} {when} {times}. The lowest was {value} ({proof}).",
    ),
    "not below": (
        "No. {number} was not {limit} {when}: the lowest was {value}, {at} ({proof}).",
        "No, not {limit} {when}: {number}, the lowest was {value}, {at} ({proof}).",
        "No, that is not so: {number} was not {limit} {when}. The lowest was {value}, {at} ({proof}).",
    ),
    "no value": (
        "I have no value of {number} {when}, so I cannot say. The newest is from {at}.",
        "No value of {number} {when}, so I cannot say. The newest is from {at}.",
        "I cannot say: I have no value of {number} {when}. The newest is from {at}.",
    ),
    "no value ever": (
        "I remember no value of {number}, which {sensors} would have to measure.",
        "No value of {number}, which {sensors} would have to measure.",
        "I cannot say: I remember no value of {number}, which {sensors} would have to measure.",
    ),
    "measured by": (
        "{sensors} measured it, {times}.",
        "{sensors}, {times}.",
        "I have it from {sensors}, which measured it {times}.",
    ),
    "measured by none": (
        "None told me: I remember no value of that time.",
        "None: I remember no value of that time.",
        "I have it from none: I remember no value of that time.",
    ),
    "sure of value": (
        "It was measured {times}, by {sensors}; the values are between {low} and {high}.",
        "Measured {times}, by {sensors}, between {low} and {high}.",
        "This is how sure I am: it was measured {times}, by {sensors}, between {low} and {high}.",
    ),
    "sure of no value": (
        "I am sure only that I remember no value of {number} then.",
        "Sure only that I remember no value of {number} then.",
        "This is how sure I am: I remember no value of {number} then.",
    ),
}
"""kind -> its sentences, each with every fact of the kind once, and with no clause that is true only beside
another: a sentence made of clauses of several of them is as true as they are."""
