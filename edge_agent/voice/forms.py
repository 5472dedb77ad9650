"""How questions are said, as JSGF (JSpeech Grammar Format, W3C note of June 2000): a pure table.

`<thing>`, `<sound>`, `<some_sound>`, `<noun>`, `<counted>`, `<place>`, `<spent>`, `<start>`, `<clause_...>`,
`<sensor>`, `<measured>`, `<measure_question>` and `<manifest_question>` come from the model and the
configuration (grammar.py); the rest is English. A weight before an alternative says how often it is said;
inside an option, how often against 1 for leaving it out.
"""

from __future__ import annotations

TOP = "question"

ENGLISH = """
<ones> = one | two | three | four | five | six | seven | eight | nine;
<teens> = ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen | nineteen;
<tens> = twenty | thirty | forty | fifty;
<number> = /4/ <ones> | /2/ <teens> | /2/ ( ten | fifteen | twenty | thirty | forty five ) | <tens> [ <ones>
    ] | /0.2/ sixty | /0.2/ ninety | /0.5/ a couple of | /0.5/ a few;
<unit> = /4/ minutes | /4/ hours | /0.5/ seconds | days | /0.5/ weeks;
<hour> = <ones> | ten | eleven | twelve;
<half> = a_m | p_m;
<minute> = thirty | fifteen | forty five | ten | twenty | forty | fifty;
<clock> = /8/ <hour> [ /0.3/ o'clock ] [ /0.3/ <half> ] | half past <hour> | [ a ] quarter ( past | to )
    <hour> | /0.5/ <minute> ( past | to ) <hour> | /0.7/ <hour> <minute> [ /0.3/ <half> ] | /2/ noon | /2/
    midnight;
<weekday> = monday | tuesday | wednesday | thursday | friday | saturday | sunday;
<part> = /2/ morning | afternoon | evening | /2/ night;
<meal> = lunch | breakfast | dinner;
<day> = /6/ yesterday | /6/ today | /0.5/ the day before [ yesterday ] | /2/ on <weekday> | /0.5/ [ last ]
    <weekday>;
<ordinal> = first | second | third | fourth | fifth | sixth | seventh | eighth | ninth | tenth | eleventh |
    twelfth | thirteenth | fourteenth | fifteenth | sixteenth | seventeenth | eighteenth | nineteenth |
    twentieth | thirtieth | ( twenty | thirty ) first | twenty ( second | third | fourth | fifth | sixth |
    seventh | eighth | ninth );
<month> = january | february | march | april | may | june | july | august | september | october | november |
    december;
<date> = on ( the <ordinal> of <month> | <month> [ the ] <ordinal> );
<some_part> = /4/ this <part> | /4/ last night | last evening | /0.4/ tonight | /2/ yesterday <part> | [ on
    ] <weekday> <part> | ( in | during ) the <part> | /0.3/ at night | /0.3/ overnight | ( all | the whole )
    ( day | night | morning ) [ yesterday | today ] | /0.5/ ( earlier | so far ) today;
<recent> = ( /4/ in | over | during | within | for ) the ( /3/ last | past ) ( /4/ <number> <unit> | minute
    | /2/ hour | [ half ] an hour | half hour | day | week | few ( minutes | hours | days ) );
<ago> = /2/ <number> <unit> ago | ( an hour | half an hour | a minute | a moment | a while | a week ) ago;
<since> = since ( /4/ <clock> | yesterday [ <part> ] | this ( morning | afternoon ) | last ( night | week )
    | <meal> | <weekday> | <number> <unit> ago | then );
<between> = /2/ between <clock> and <clock> | from <clock> ( to | until | till ) <clock>;
<at> = ( /4/ at | around | about | /2/ before | /2/ after | until | by ) <clock> | ( before | after | during
    | at ) <meal> | at that time;
<calendar> = this week | last week | this month | last month | [ on | over ] ( this | last | the ) weekend;
<absent> = while ( i was | we were ) ( away | out | gone | asleep | sleeping );
<time> = /8/ <day> | /8/ <some_part> | /8/ <recent> | /2/ <ago> | /3/ <since> | /3/ <at> [ <day> |
    <some_part> ] | /0.7/ <at> in the <part> | /3/ <between> [ <day> | <some_part> ] | <calendar> | <day>
    <at> | <date> | <absent>;
<right_now> = /2/ now | /2/ right now | /2/ at the moment | currently | just now | still | today;
<opener> = please | tell me | can you tell me | could you tell me | do you know | and | so | hey;
<is_it> = what is | /0.4/ what's;
<here> = here | there | in here | in there | in the room | /0.3/ at home | /0.3/ outside;
<people> = /3/ somebody | /3/ anybody | /3/ someone | /3/ anyone | /2/ a person | /0.5/ people | /0.5/ any
    people;
<someone> = /6/ the person | somebody | someone | anybody | anyone | /0.7/ he | /0.7/ she | /0.3/ the wearer
    | /0.3/ they | /0.3/ i;
<see_hear> = /4/ hear | see | sense | perceive | notice | detect;
<now_what> = /3/ <is_it> <someone> ( /3/ doing | up to ) | /2/ <is_it> ( going on | happening | new | up ) [
    <here> ] | /4/ what do you <see_hear> | /2/ what can you ( hear | see ) | /2/ what are you ( hearing |
    seeing ) | what do you know | <is_it> ( that | this | the ) ( sound | noise ) | what ( sound | sounds |
    noise | noises ) ( is | are ) ( that | this | there ) | what [ kind of ] ( sound | noise ) ( is ( this |
    that | it ) | do you hear | can you hear ) | tell me what ( you are hearing | you ( hear | see ) | is
    going on | <someone> is doing ) | how is the person moving | what does <someone> do | describe the (
    sound | noise | situation | scene | room ) | [ give me ] a ( summary | report ) | how are things | how
    is everything | is everything ( okay | fine | alright ) | tell me everything | who is <here> | who's
    <here> | where is the person | <is_it> the ( posture | activity | sound | situation | status ) [ of the
    person | in the room ] | [ in ] ( what | which ) posture is the person [ in ] | how does ( it sound |
    the room sound );
<now_whether> = do you ( /3/ hear | see | notice ) ( anything | something | anyone | a ( noise | sound ) |
    /6/ <sound> | any <some_sound> ) | can you hear ( anything | /3/ <sound> ) | are you hearing ( anything
    | <sound> ) | is there ( any ( sound | noise ) | /3/ <thing> | <people> [ <here> | <place> ] ) | are
    there ( any <some_sound> | [ any ] people <here> | <counted> [ <here> ] ) | is ( that | it ) <thing> |
    is it ( quiet | silent | loud ) [ <here> ] | /8/ ( is | are ) <clause_ing> | /3/ is <people> ( <here> |
    <place> ) | is the person <place> | are you sure | is it raining [ outside ] | are we alone;
<now_sensors> = which sensors ( do you have | are ( working | online | offline | missing | connected ) ) |
    are all [ the | your ] sensors ( working | online | okay ) | is <sensor> ( working | online | connected
    | on | okay ) | what does <sensor> ( say | see | hear | measure | show ) | what do [ the | your ]
    sensors ( say | see );
<ask_now> = /3/ <now_what> | /4/ <now_whether> | /0.7/ <now_sensors> | /1.5/ <manifest_question> | how many
    people ( are <here> | do you ( see | count ) | can you see ) | /2/ <measure_question>;
<follow> = why | why do you ( think so | say that ) | what makes you ( think | say ) ( so | that ) | [ and ]
    how do you know [ that ] | which sensor ( told you [ that ] | says so | said so | was it | saw that |
    heard that ) | who ( told you | says | said ) [ that | so ] | [ and ] are you ( [ really | quite ] sure
    | certain ) | how ( sure | certain ) are you | really | what should i do | [ and ] before that | [ and ]
    what was before [ that ] | [ and ] what happened before that | and earlier | since when [ is it so ] |
    how long has ( it | that ) been ( like that | so | the case ) | /4/ ( what about | how about | and [
    what about ] ) ( <time> | <calendar> | the last hour ) | ( what about | how about ) ( <thing> | <start>
    | the person | the room | <sensor> ) | and ( how ( often | long | many times ) | when ) [ was ( it |
    that ) | did ( it | that ) happen ] | when was that | how long was that | how often | stop | thank you;
<last> = /3/ last | ever | first;
<begin> = start | begin | stop | end;
<whether> = /8/ did ( <clause_base> ) | ( was | were ) there ( [ any ] ( <thing> | <some_sound> ) | <people>
    [ <here> | <place> ] | <counted> [ <here> ] ) | /6/ ( was | were | /0.5/ is | has ) <clause_ing> | /4/ (
    has | /0.3/ have ) <clause_done> | /2/ did you ( /3/ hear | notice | detect ) ( <sound> | any
    <some_sound> ) | did you see <thing> | /2/ have you ( /2/ heard | noticed ) ( <sound> | any <some_sound>
    ) | has there been [ any ] ( <thing> | <people> <here> ) | have there been ( <counted> | any
    <some_sound> ) [ <here> ] | /2/ was <people> ( <here> | <place> ) | has <people> been ( <here> | <place>
    ) | ( was | has ) the person [ been ] <place> | did <people> ( come in | come | leave | enter the room |
    come into the room );
<how_often> = ( /2/ how often | /2/ how many times | how frequently ) ( /4/ did <clause_base> | has
    <clause_done> | was <clause_ing> | did you hear <sound> | was there <thing> | have you heard <sound> |
    did you notice <sound> | was <people> <place> );
<how_long> = ( /6/ [ /0.3/ for ] how long | /0.5/ since when | how much time | /0.5/ how much of the ( day |
    night | morning | afternoon | evening | time ) | /0.4/ how many ( minutes | hours ) ) ( /5/ was
    <clause_ing> | /3/ did <clause_base> | /2/ has <clause_been> | did you hear <sound> | was there <thing>
    | /0.7/ did <someone> spend ( <spent> | <place> ) | were there <counted> [ <here> ] | was the person
    <place> | has the person been <place> | have ( you heard <sound> | there been <counted> ) | did <start>
    ( last | go on ) | was <start> | is <clause_ing> );
<when> = ( /4/ when | /2/ what time | at what time ) ( /5/ did <clause_base> | /3/ was <clause_ing> | did
    you [ last | first ] ( hear | notice ) <sound> | was there <thing> | did <start> ( [ last ] <begin> |
    come ) | did <clause_begin> | was <people> [ last | first ] ( <here> | <place> ) | was the person [ last
    | first ] <place> | was the ( /2/ last | first ) time ( [ that ] <clause_past> | [ that ] you heard
    <sound> | of <thing> | there was <thing> ) | was the ( last | first ) <noun> | has <clause_done> );
<indirect> = ( tell me | do you know | can you tell me | could you tell me | say ) ( ( if | whether | when |
    how often | how many times | how long | when ) <clause_past> | ( if | whether ) ( you heard <sound> |
    there was <thing> ) );
<told> = /6/ what happened [ <here> ] | what went on [ <here> ] | /2/ what was ( going on | happening |
    heard | seen ) [ <here> ] | /2/ what has ( happened | been going on | been happening ) | what took place
    | what ( did i miss | have i missed ) | /2/ tell me what ( happened | went on | <someone> did | you (
    heard | saw | noticed ) ) | tell me everything [ that happened ] | did anything happen | has anything
    happened | what do you know ( of | about ) | ( give me | can i have | tell me ) ( a | the ) ( summary |
    report | overview | recap ) ( /2/ of | for | about ) | a summary of | summarise | describe | /2/ tell me
    about | how was | what was it like | /3/ what did you ( /3/ hear | see | notice | read | sense |
    perceive | detect ) | /2/ what have you ( heard | seen | noticed ) | /4/ what was <someone> ( /3/ doing
    | up to ) | /2/ what did <someone> do | what has <someone> been doing | /2/ how many people ( were |
    have been ) ( there | <here> ) | how many people did you ( see | count ) | who was <here> | anything new
    | what was the ( posture | activity ) [ of the person ] | how was the person moving | which sounds did
    you hear | what ( sounds | noises ) ( were there | did you hear ) | what was the <measured> | how
    <measured> was it [ <here> ] | /2/ was it ( quiet | silent | loud | <measured> ) [ <here> ] | was there
    any ( noise | sound ) [ <here> ] | how many <some_sound> ( were there | did you hear | have you heard );
<odd> = /3/ unusual | /2/ strange | odd | weird | suspicious | wrong | special | out of the ordinary |
    unexpected | abnormal | interesting | new;
<unusual> = /3/ ( was | was there | is there | has there been | were there ) ( /3/ anything | something )
    <odd> | /2/ did ( /3/ anything | something ) <odd> ( /3/ happen | occur ) | did you ( notice | hear |
    see ) ( /2/ anything | something ) <odd> | have you ( noticed | heard | seen ) anything <odd> | has (
    /3/ anything | something ) <odd> happened | ( were | are | have ) there [ been ] any ( alarms | problems
    ) | what was <odd> | /2/ anything <odd> | was everything ( normal | okay | fine | alright ) | tell me
    anything <odd> | what <odd> things happened | did you notice anything <odd>;
<works> = /2/ work | fail | stop [ working ] | have data | lose ( data | its connection | connection ) |
    drop out | go ( offline | down );
<worked> = worked | failed | stopped | had data | lost ( data | its connection ) | been ( /2/ online | /2/
    offline | working | missing | down ) | gone offline | dropped out;
<fit> = /2/ online | /2/ offline | /2/ working | available | missing | connected | disconnected | silent |
    down | on | okay;
<sensors> = /6/ <sensor> | all [ the | your ] sensors | any [ of the | of your ] sensors | any sensor | all
    sensors | the sensors | a sensor;
<data> = /3/ did <sensors> <works> | /2/ ( has | have ) <sensors> <worked> | /4/ ( was | were ) <sensors>
    <fit> | how long was <sensor> <fit> | when was <sensor> [ last ] <fit> | when did <sensor> <works> | how
    often was <sensor> <fit> | ( which | what ) sensors ( were <fit> | <worked> );
<past> = /5/ <whether> | /3/ <how_often> | /4/ <how_long> | /5/ <when> | /5/ <told> | /2/ <unusual> | /2/
    <data> | /0.5/ <indirect>;
<question> = /6/ [ /0.15/ <opener> ] <past> [ /3/ <time> ] | /0.2/ <time> <past> | /4/ [ /0.15/ <opener> ]
    <ask_now> [ /0.25/ <right_now> ] | /2/ <follow>;
"""
