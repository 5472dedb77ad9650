"""How questions are said, as JSGF (JSpeech Grammar Format, W3C note of June 2000): a pure table.

`<thing>`, `<sound>`, `<some_sound>`, `<noun>`, `<counted>`, `<place>`, `<fixture>`, `<spent>`, `<start>`,
`<heard>`, `<ing_heard>`, `<clause_...>`, `<person_...>`, `<sensor>`, `<manifest_question>` and what
forms_number.py names come from the model and the configuration (grammar.py); the rest is English. A weight
before an alternative says how often it is said; inside an option, how often against 1 for leaving it out.
"""

from __future__ import annotations

from edge_agent.voice.forms_now import NOW
from edge_agent.voice.forms_number import NUMBER
from edge_agent.voice.forms_past import PAST
from edge_agent.voice.forms_time import TIME

TOP = "question"

_WHOLE = """
<opener> = please | tell me | can you tell me | could you tell me | do you know | and | so | hey | /0.5/
    excuse me | /0.3/ hello | /0.3/ okay | /0.2/ well | /0.2/ sorry | /0.2/ thank you and | /0.3/ please tell
    me;
<manner> = /3/ at all | /2/ more than ( once | twice | <ones> times ) | /3/ again | /2/ yet | much | a lot |
    too long | for long | /0.5/ [ for ] more than ( an hour | <number> <unit> ) | ( more | less ) than (
    yesterday | last week | usual );
<tail> = /4/ please | /0.5/ for me | /0.3/ then | /0.3/ again | /0.2/ at all | /0.2/ thanks;
<asks> = ( can | could | would | /0.5/ will ) you [ /0.4/ please ] ( /4/ tell me | /0.5/ say | /0.5/ let
    me know | /0.4/ check | /0.2/ kindly tell me ) | please ( could | can ) you ( tell me | say );
<frame> = [ /0.1/ ( hello | hey | excuse me | please | and ) ] ( /4/ <asks> | /2/ tell me | /0.5/ say |
    please tell me | /2/ do you know | ( i'd | /0.5/ i would ) like to know | i want to know | /0.7/ i wonder
    | /0.4/ i was wondering | /0.5/ do you happen to know | /0.5/ any idea | /0.4/ ( may | can | could ) i (
    ask | know ) | /0.5/ would you mind telling me | /0.4/ let me know | /0.3/ do you remember | /0.3/ remind
    me | /0.3/ can you remind me | /0.2/ kindly tell me | /0.3/ check );
<asks_for> = [ ( can | could | would | /0.5/ will ) you ] [ please ];
<wh> = if | whether;
<indirect> = ( tell me | do you know | can you tell me | could you tell me | say ) ( ( if | whether |
    when | how often | how many times | how long | when ) <clause_past> | ( if | whether ) ( you heard
    <sound> | there was <thing> ) );
<said_now> = /4/ <wh> ( /4/ <clause_is> | /2/ <people> is ( <here> | <place> ) | /2/ <someone> is [ /0.4/
    still ] <spent> | it's raining | /0.3/ it is raining | there ( is <thing> | are <counted> | is <people> (
    <here> | <place> ) ) | you [ can ] hear ( <sound> | /0.5/ <heard> ) | /0.5/ everything is <fine> | /0.7/
    <sensor> is <fit> | /0.5/ i'm <spent> ) | /2/ what you [ can ] <see_hear> | what is going on | what's
    going on | /3/ what <someone> is doing | /0.5/ what i'm doing | /2/ how many people ( /3/ are <here> |
    there are <here> ) | /2/ who ( is | /0.3/ else is ) <here> | /0.3/ who's <here> | where <someone> is |
    what ( that | this ) ( noise | sound ) is | /0.4/ how sure you are | /0.3/ which sensor told you that |
    /0.3/ how you know that | /2/ <measure_clause>;
<said_past> = /3/ <wh> <clause_past> | /3/ <wh> ( you heard ( <sound> | <heard> ) | there was ( <thing> |
    <people> [ <here> | <place> ] | anything <odd> ) | <people> was ( <here> | <place> ) | anything <odd>
    happened | <sensor> was <fit> | <people> came in | /0.5/ i missed anything ) | /3/ when <clause_past> |
    /3/ when <clause_last> | ( how often | how many times ) <clause_past> | /2/ how long <clause_past> | when
    ( you last heard ( <sound> | <heard> ) | <people> was last ( <here> | <place> ) | <sensor> was [ last ]
    <fit> ) | /2/ what happened [ <here> ] | what went on | what ( you ( heard | saw | noticed ) | <someone>
    was doing | <whoever> did | i have been doing ) | who was <here> | how many people ( were <here> | there
    were <here> ) | /2/ <measure_told>;
<opinion> = do you think ( /3/ <clause_is> | /2/ <people> is ( <here> | <place> ) | it is <adjective> |
    it's <adjective> | i'm <spent> );
<short> = /2/ any <some_sound> | /0.3/ any visitors | /0.2/ ( nobody | no one ) <here> | /2/ anyone <here> |
    /2/ anybody <here> | <people> <here> | /2/ <noun> | /2/ <some_sound> | /0.7/ still <some_sound> | /0.5/
    last <noun> | /0.5/ last time <clause_past> | /0.5/ first <noun> | <measure_short> | /0.5/ how many
    <some_sound> | /0.5/ how many <clause_short> | /0.5/ <clause_short> | /0.5/ ( any | how many ) ( alarms |
    falls ) | /0.5/ anything <odd> | /0.3/ all quiet | /0.2/ anything to report | /0.3/ the <quantity> |
    /0.1/ <quantity> <indoors> | /0.3/ any ( sounds | noises | noise | movement ) | /0.3/ room ( empty |
    occupied ) | /0.3/ still raining | /0.2/ how many people | /0.2/ who's <here> | /0.2/ what's happening |
    /0.2/ how often | /0.2/ how long | /0.2/ how many times | /0.3/ how much walking | /0.2/ what about
    <here>;
<clause_short> = people <here> | people;
<question> = /6/ [ /0.15/ <opener> ] <past> [ /3/ <time> ] [ /0.03/ <tail> ] | /0.2/ <time> <past> | /4/
    [ /0.15/ <opener> ] <ask_now> [ /0.25/ <right_now> ] [ /0.03/ <tail> ] | /1.8/ [ /0.03/ <opener> ]
    <follow> [ /0.02/ <tail> ] | /0.8/ <frame> <said_now> [ /0.15/ <right_now> ] [ /0.03/ <tail> ] | /1.2/
    <frame> <said_past> [ /0.03/ at all ] [ /3/ <time> ] [ /0.03/ <tail> ] | /0.3/ ( <told_period> |
    <asks_for> <told_of> ) <period> [ /0.05/ for me ] | /0.2/ <opinion> [ /0.15/ <right_now> ] | /0.7/
    <short> [ /0.7/ <time> | /0.3/ <right_now> ] [ /0.03/ <tail> ];
"""
ENGLISH = TIME + NUMBER + NOW + PAST + _WHOLE
