"""How one asks about the past, as JSGF rules: a pure table, part of forms.py."""

from __future__ import annotations

PAST = """
<last> = /3/ last | ever | first;
<begin> = start | begin | stop | end;
<whether> = /8/ did ( <clause_base> ) | ( was | were ) there ( [ any ] ( <thing> | <some_sound> ) | <people>
    [ <here> | <place> ] | <counted> [ <here> ] | /0.2/ nobody <here> ) | /5/ was <clause_ing> | /0.1/ ( were
    | is | has ) <clause_ing> | /4/ has <clause_done> [ /0.05/ again ] | /0.3/ have <clause_done> | /1.5/
    have i ( <person_done> | been <spent> ) | /1.5/ was i <states> | /0.4/ ( were | have ) they ( <spent> |
    been <spent> ) | /2/ ( did | /0.05/ could ) you ( /3/ hear | notice | detect | /0.2/ catch | /0.1/ pick
    up ) ( /3/ <sound> | any <some_sound> | /2/ <heard> | /0.4/ ( me | <people> ) ( <person_base> | <spent> )
    ) | did you see ( <thing> | <people> [ <here> | <place> | /0.5/ <spent> ] ) | /2/ have you ( /2/ heard |
    noticed ) ( <sound> | any <some_sound> | /0.5/ <heard> ) | has there been [ any ] ( <thing> | <people>
    <here> ) | have there been ( <counted> | any <some_sound> ) [ <here> ] | /3/ was <people> ( /2/ <here> |
    <place> ) | has <people> been ( /2/ <here> | <place> ) | was <someone> <place> | has <someone> been
    <place> | /0.05/ ( was | has ) <someone> [ been ] <place> | did <people> <come> | /0.5/ has <people> (
    come in | left [ the room ] | gone out | entered [ the room ] ) | /0.1/ did <counted> come in | /0.2/ did
    we have [ any ] visitors | /0.3/ ( was | were | has | have ) there [ been ] ( a fall | any falls ) [
    /0.3/ <place> ] | /0.1/ ( is | was ) the house ( empty | occupied ) | /0.7/ was ( that | it | /0.2/ this
    ) <thing> [ /0.3/ or <thing> ] | /0.5/ was <start> <goes> | /0.3/ did <start> <begin> [ <ing_heard> ] |
    /0.5/ did <clause_begin> | /0.3/ was the room ( used | in use | busy ) | /0.3/ was it raining [ outside ]
    | /0.3/ was <fixture> used | /0.3/ has <clause_stopped> | /0.2/ was <room> ( used | in use | busy ) |
    /0.2/ did you hear that | /0.2/ was there <sound> <goes>;
<how_often> = /12/ ( /2/ how often | /2/ how many times | how frequently ) ( /4/ did <clause_base> | has
    <clause_done> | was <clause_ing> | did you hear ( <sound> | /0.7/ <heard> ) | was there <thing> | have
    you heard <sound> | did you notice <sound> | was <people> <place> | /0.5/ was <people> <here> | /0.7/
    have i <person_done> | /0.2/ was ( <spent> | <start> ) ( detected | noticed | heard ) | /0.3/ was
    <fixture> used | /0.3/ were there <counted> [ <here> ] );
<how_long> = /15/ ( /6/ [ /0.3/ for ] how long | /0.5/ since when | how much time | /0.5/ how much of the (
    day | night | morning | afternoon | evening | time ) | /0.4/ how many ( minutes | hours ) | /0.1/ during
    how much time | /0.1/ until when ) ( /5/ was <clause_ing> | /3/ did <clause_base> | /2/ has <clause_been>
    | did you hear <sound> | was there <thing> | /0.7/ did <whoever> spend ( <spent> | <place> ) | were (
    there <counted> [ <here> ] | <counted> <here> ) | was <someone> <place> | has <someone> been <place> |
    have ( you heard <sound> | there been <counted> ) | did <start> ( last | go on | run ) | was <start> [
    <goes> ] | has <start> been <goes> | is <clause_ing> | /0.7/ have i ( been <spent> | /0.3/ spent <spent>
    ) | /0.4/ was i <spent> | /0.4/ was <people> <here> | /0.3/ has ( <people> | nobody | no one ) been
    <here> | /0.6/ has it been ( quiet | loud | raining | <adjective> | <state> ) | /0.2/ was it (
    <adjective> | quiet | silent | <state> ) | /0.3/ was <lamp> | /0.3/ ( has the light | have the lights )
    been ( on | off ) | /0.15/ did <whoever> take to <person_base> ) [ /0.03/ for ] | /0.15/ ( what's | what
    is | what was ) the total time ( i was <spent> | <place> ) | /0.5/ how much ( did ( i <person_base> |
    /0.5/ <clause_base> ) | have i ( <person_done> | been <spent> ) );
<when> = /20/ ( /4/ when | /2/ what time | at what time ) ( /5/ did <clause_base> [ /0.04/ <last> ] | /3/ was
    <clause_ing> | /1.5/ did you [ last | first ] ( /2/ hear | notice ) ( /2/ <sound> | <heard> ) | /0.7/ did
    you [ last | first ] see <people> [ <here> | <place> | <spent> ] | was there <thing> | /0.5/ were ( there
    <counted> [ <here> ] | <counted> [ last | first ] <here> ) | /0.3/ was <lamp> | did <start> ( [ last ]
    <begin> | come ) | did <clause_begin> | was <people> [ last | first ] ( <here> | <place> ) | was
    <someone> [ last | first ] <place> | /1.5/ was the ( /2/ last | first ) time ( /2/ [ that ] <clause_past>
    | [ that ] you heard ( <sound> | <heard> ) | of <thing> | there was <thing> | /0.5/ <people> was <here> )
    | was the ( last | first ) <noun> | has <clause_done> | /0.7/ did <people> [ /2/ last | first ] <come> |
    /0.2/ was the ( last | first ) fall | /0.5/ was i [ last | first ] <spent> | /0.3/ was <someone> last
    seen [ <spent> ] | /0.3/ did the room become ( empty | occupied ) ) | /0.2/ in which moment did
    <clause_base> | /1.2/ how long ( is it since | since | has it been since ) ( /2/ <clause_past> |
    <clause_last> ) | /0.8/ how ( long | many ( minutes | hours ) ) ago ( did <clause_base> | was
    <clause_ing> ) | /0.3/ when did the ( light | lights ) [ /0.3/ last ] ( go | come ) ( on | off ) | /0.2/
    ( when | how often ) did <someone> ( turn | switch | leave ) the ( light | lights ) ( on | off ) | /0.2/
    when was <room> [ last ] ( used | in use | busy ) | when was <start> [ /2/ last ] heard | /0.2/ when was
    <fixture> last used | /0.3/ how long ago was the last ( <noun> | <some_sound> );
<told> = /6/ what happened [ <here> ] | what went on [ <here> ] | /2/ what was ( going on | happening | heard
    | seen ) [ <here> ] | /2/ what has ( happened | been going on | been happening ) | /0.7/ what's ( been
    going on | been happening | happened ) [ /0.3/ <here> ] | what took place | what ( did i miss | have i
    missed ) | /2/ tell me what ( happened | went on | <someone> did | you ( heard | saw | noticed ) ) | tell
    me everything [ that happened ] | did anything happen | has anything happened | what do you know ( of |
    about ) | ( give me | can i have | tell me ) ( a | the ) ( summary | report | overview | recap ) ( /2/ of
    | for | about ) | a summary of | summarise | describe | /2/ tell me about | how was | what was it like |
    /3/ what did you ( /3/ hear | see | notice | read | sense | perceive | detect ) [ /0.1/ <here> ] | /2/
    what have you ( heard | seen | noticed ) | /4/ what was <someone> ( /3/ doing | up to ) | /2/ what did
    <whoever> do | what has <someone> ( been ( doing | /0.3/ up to ) | /0.3/ done ) | /0.3/ what have i done
    | /0.3/ how did the ( day | night | morning ) go | /2/ how many people ( were | have been ) ( there |
    <here> ) | how many people did you ( see | count ) | /1.5/ who was ( /3/ <here> | <place> | <spent> ) |
    /0.1/ who used <fixture> [ last ] | /0.7/ ( who has | who's ) been <here> | anything new | what was the (
    posture | activity ) [ of the person ] | how was the person moving | ( what | which ) ( sounds | noises )
    ( were there | have there been | did you hear | have you heard ) | /0.05/ what was the <measured> |
    /0.05/ how <measured> was it [ <here> ] | ( was it | /0.3/ has it ( gone | got ) ) ( quiet | silent |
    loud | /0.2/ noisy ) [ <here> ] | /0.05/ was it <measured> [ <here> ] | /0.3/ how ( quiet | loud | noisy
    | busy | crowded ) was it [ <here> ] | /0.1/ how ( busy | crowded ) was the room | was there any ( noise
    | sound ) [ <here> ] | how many <some_sound> ( were there | did you hear | have you heard ) | /0.7/ what
    was i doing | /0.7/ what have i been doing | /0.3/ what were they doing | /0.5/ what was that ( noise |
    sound ) | /0.3/ what did <whoever> do ( before | after ) ( <clause_past> | <start> | that ) | /0.5/ where
    was ( /3/ <someone> | i ) | /0.3/ did i miss anything | /0.5/ what did you ( last | first ) hear | /0.4/
    what was the ( last | first ) ( thing | sound ) [ that ] you heard | /0.3/ ( what kind | what sort ) of (
    sound | noise ) did you hear | /0.2/ was there any ( movement | activity ) | /0.5/ have you heard (
    anything | any noise | any sound ) | /0.2/ tell me ( what | which ) sounds you heard | /0.2/ did you (
    hear | see | notice ) ( anything | any noise | any sound ) | /0.2/ did anything happen <here> | /0.2/
    list the sounds [ you heard ] | /0.2/ what was the ( last | first ) ( sound | event ) | /0.2/ what set
    off the alarm | /0.3/ ( what was | what's ) the loudest ( noise | sound | thing ) [ you heard ] | /0.3/
    was ( it | that ) <state> | /0.2/ did <whoever> move [ around ] | /0.2/ was <someone> moving | /0.2/ did
    more than <counted> come in | /0.2/ ( was | were ) there more than <counted> <here> | /0.2/ what was that
    | /0.3/ has it been ( quiet | noisy | loud | <adjective> ) | /0.15/ ( what was | what's ) the most people
    ( <here> | you've seen ) [ /0.3/ at once ] | /0.3/ who ( <person_past> | has <person_done> );
<told_period> = /3/ how was | /0.5/ how's | /0.3/ how has | /2/ what happened ( in | during | over ) | /2/ (
    can i have | i'd like | /0.3/ could i have | i want ) <summary>;
<told_of> = /3/ ( summarise | describe | /0.3/ sum up ) | /0.5/ ( run | take | walk | talk ) me through |
    /0.15/ ( fill me in | catch me up | update me | brief me ) on | /3/ tell me about | /3/ ( give me | tell
    me ) <summary>;
<summary> = ( a | the ) [ /0.1/ quick | /0.1/ short | /0.05/ brief ] ( /3/ summary | report | overview |
    recap | /0.3/ rundown ) ( /2/ of | for );
<odd> = /3/ unusual | /2/ strange | odd | weird | suspicious | wrong | special | out of the ordinary |
    unexpected | abnormal | interesting | new | /0.3/ worrying;
<unusual> = /3/ ( /2/ was there | was | /0.7/ is there | has there been | /0.2/ were there ) ( /3/ anything |
    something ) <odd> | /2/ did ( /3/ anything | something ) <odd> ( /3/ happen | occur ) | did you ( notice
    | hear | see ) ( /2/ anything | something ) <odd> | have you ( noticed | heard | seen ) anything <odd> |
    has ( /3/ anything | something ) <odd> happened | ( /2/ were | are | have ) there [ been ] any ( alarms |
    problems | /0.3/ alerts | /0.3/ warnings ) | what was <odd> | /2/ anything <odd> [ /0.3/ happen | /0.3/
    happened | /0.2/ going on ] | was everything <fine> | tell me anything <odd> | what <odd> things happened
    | did you notice anything <odd> | /0.7/ any ( alarms | problems | /0.5/ trouble | /0.5/ alerts | warnings
    ) | /0.4/ ( did | has ) ( the | an | any ) alarm ( go off | gone off ) | /0.3/ ( was | has ) there [ been
    ] an alarm | /0.3/ why did the alarm go off | /0.3/ when was the ( last | first ) alarm | /0.2/ anything
    [ else ] i should know [ about ] | /0.3/ ( is | was ) there any ( trouble | problem ) | /0.3/ is (
    anything | something ) <odd> | /0.2/ what was the ( strangest | most unusual ) thing;
<works> = /2/ work | fail | stop [ working ] | have data | lose ( data | its connection | connection ) |
    drop out | go ( offline | down );
<worked> = worked | failed | stopped | had data | lost ( data | its connection ) | been ( /2/ online |
    /2/ offline | working | missing | down ) | gone offline | dropped out;
<fit> = /2/ online | /2/ offline | /2/ working | available | missing | connected | disconnected | silent |
    down | on | okay | /0.5/ off | /0.3/ switched off | /0.2/ out;
<sensors> = /6/ <sensor> | all [ the | your ] sensors | any [ of the | of your ] sensors | /2/ any sensor
    | all sensors | the sensors | a sensor | /0.5/ one of the sensors | /0.3/ the sensor | /0.2/ every
    sensor;
<data> = /3/ did <sensors> <works> | /2/ ( has | have ) <sensors> <worked> | /4/ ( was | were ) <sensors>
    <fit> | how long was <sensor> <fit> | when was <sensor> [ last ] <fit> | when did <sensor> <works> | how
    often was <sensor> <fit> | ( which | what ) sensors ( were <fit> | <worked> ) | /0.3/ were you ( offline
    | online | down | listening | recording ) | /0.2/ did you lose ( any data | the connection ) | /0.3/ how
    long has <sensor> been <fit> | /0.2/ was there a gap in the data | /0.3/ ( was there | did you have | did
    you get ) [ any ] data from <sensor> | /0.2/ when did you last ( have data from | hear from ) <sensor> |
    /0.2/ ( when | how long | how often ) did you lose <sensor> | /0.3/ ( any | /0.5/ were there any | /0.5/
    are there any ) problems with ( <sensor> | the sensors );
<why> = why ( /3/ was <clause_ing> | /2/ did <clause_base> | is <clause_ing> | ( is | was ) it [ so ] (
    <adjective> | loud | quiet | noisy ) );
<come> = /3/ come in | /2/ come | /2/ leave | /0.5/ ( enter | leave | come into ) the room | /0.5/ go out |
    /0.3/ visit | /0.3/ come home | /0.2/ enter;
<past> = /5/ <whether> [ /0.05/ <manner> ] | /3/ <how_often> | /4/ <how_long> | /5/ <when> | /5/ <told> | /2/
    <unusual> | /2/ <data> | /0.5/ <indirect> | /3/ <measure_past> | /0.5/ <why>;
"""
