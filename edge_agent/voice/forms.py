"""How questions are said, as JSGF (JSpeech Grammar Format, W3C note of June 2000): a pure table.

`<thing>`, `<sound>`, `<spent>`, `<start>`, `<clause_...>`, `<sensor>`, `<measure_question>` and
`<manifest_question>` come from the model and the configuration (grammar.py); the rest is English. A weight
before an alternative says how often it is said; inside an option, how often against 1 for leaving it out.
"""

from __future__ import annotations

TOP = "question"

ENGLISH = """
<ones> = one | two | three | four | five | six | seven | eight | nine;
<teens> = ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen |
    nineteen;
<tens> = twenty | thirty | forty | fifty;
<number> = /4/ <ones> | /4/ <teens> | <tens> [ <ones> ] | sixty | ninety | a couple of | a few;
<unit> = /4/ minutes | /4/ hours | seconds | days | weeks;
<hour> = <ones> | ten | eleven | twelve;
<half> = a_m | p_m;
<sharp> = o'clock;
<minute> = thirty | fifteen | forty five | ten | twenty | forty | fifty;
<clock> = /6/ <hour> [ <sharp> ] [ <half> ] | half past <hour> | [ a ] quarter ( past | to ) <hour> |
    <hour> <minute> [ <half> ] | noon | midnight;
<weekday> = monday | tuesday | wednesday | thursday | friday | saturday | sunday;
<part> = morning | afternoon | evening | night;
<day> = /6/ yesterday | /6/ today | /0.5/ the day before yesterday | [ on | last ] <weekday>;
<ordinal> = first | second | third | fourth | fifth | sixth | seventh | eighth | ninth | tenth | eleventh
    | twelfth | thirteenth | fourteenth | fifteenth | sixteenth | seventeenth | eighteenth | nineteenth |
    twentieth | thirtieth | ( twenty | thirty ) first | twenty ( second | third | fourth | fifth | sixth |
    seventh | eighth | ninth );
<month> = january | february | march | april | may | june | july | august | september | october | november
    | december;
<date> = on ( the <ordinal> of <month> | <month> [ the ] <ordinal> );
<some_part> = [ in ] this <part> | /3/ last ( /3/ night | evening ) | /0.2/ tonight | ( yesterday |
    <weekday> ) <part> | ( in | during ) the <part> | at night;
<recent> = ( in | over | during | within | for ) the ( last | past ) ( <number> <unit> | minute | hour |
    half an hour | day | week );
<ago> = <number> <unit> ago | ( an hour | half an hour | a minute | a week ) ago;
<since> = since ( /4/ <clock> | yesterday | this ( morning | afternoon ) | last night | lunch | breakfast
    | dinner | <weekday> | <number> <unit> ago );
<between> = ( between <clock> and <clock> | from <clock> ( to | until ) <clock> );
<at> = ( /4/ at | around | before | after | until ) <clock>;
<calendar> = this week | last week | this month | last month | [ on ] ( this | last ) weekend;
<time> = /8/ <day> | /8/ <some_part> | /8/ <recent> | /2/ <ago> | /3/ <since> | /3/ <at> [ <day> |
    <some_part> ] | /3/ <between> [ <day> | <some_part> ] | <calendar> | <day> <at> | <date>;
<right_now> = now | right now | at the moment | currently;
<opener> = please | tell me | can you tell me | do you know;
<ask_now> = what is <someone> ( doing | up to ) | what is going on [ here ] | what is happening [ here ] |
    what do you ( hear | see | sense | perceive | notice ) | what can you ( hear | see ) | what are you (
    hearing | seeing ) | what [ kind of ] ( sound | noise ) ( is ( this | that ) | do you hear ) | do you
    hear ( anything | something | /3/ <sound> ) | can you hear ( anything | <sound> ) | is there ( any (
    sound | noise ) | <thing> ) | is that <thing> | is it ( quiet | loud ) [ in ( here | there ) ] | /4/
    is <clause_ing> | are you hearing <sound> | how is the person moving | describe the ( sound |
    situation ) | give me a ( summary | report ) | how are things | how is everything | tell me everything
    | is ( somebody | anybody | someone | anyone ) ( here | there | in the room ) | who is in the room |
    which sensors ( do you have | are ( working | online | missing ) ) | are all sensors ( working |
    online ) | is <sensor> ( working | online | connected ) | what does <sensor> ( say | see | hear ) |
    /4/ <manifest_question> | <measure_question>;
<follow> = why | why do you think so | how do you know [ that ] | which sensor ( told you [ that ] | says
    so | was it ) | who told you [ that ] | [ and ] are you ( [ really ] sure | certain ) | how sure are
    you | really | what should i do | [ and ] before that | [ and ] what was before that | what happened
    before that | and earlier | since when [ is it so ] | how long has ( it | that ) been ( like that | so
    | the case ) | ( what about | how about | and ) <time> | what about <thing> | stop | thank you;
<last> = last | ever | first;
<whether> = did ( <clause_base> ) | ( was | were ) there ( [ any ] <thing> ) | ( was | were | is | has )
    <clause_ing> | has <clause_done> | did you ( hear | notice ) <sound> | did you see
    <thing> | have you heard <sound> | has there been [ any ] <thing>;
<how_often> = ( how often | how many times | how frequently ) ( /3/ did <clause_base> | has <clause_done>
    | was <clause_ing> | did you hear <sound> | was there <thing> | have you heard <sound> );
<how_long> = ( [ for ] how long | since when | how much time ) ( /2/ was <clause_ing> | did <clause_base>
    | has <clause_been> | did you hear <sound> | was there <thing> | did <someone> spend <spent> );
<when> = ( when | what time | at what time ) ( did <clause_base> | was <clause_ing> | did you [ last |
    first ] hear <sound> | was there <thing> | did <start> ( start | begin ) | was the ( /2/ last | first
    ) time ( <clause_past> | you heard <sound> | of <thing> | there was <thing> ) );
<told> = /3/ what happened | what went on | what was ( going on | happening ) | what did i miss | tell me
    what happened | tell me everything | what has happened | did anything happen | what do you know of | [
    give me ] a summary ( of | for ) | tell me about | what did you ( hear | see | notice | read ) | what
    have you heard | what was <someone> doing | what did <someone> do | how many people were ( there | in
    the room ) | was there ( anybody | anyone | somebody | someone ) in the room | who was in the room |
    was ( anybody | anyone | somebody | someone ) ( there | in the room ) | what did you notice | what
    happened;
<odd> = unusual | strange | odd | weird | suspicious | wrong | special | out of the ordinary | unexpected
    | abnormal;
<unusual> = [ was | was there | were there ] ( anything | something ) <odd> | did anything <odd> happen |
    did you ( notice | hear | see ) anything <odd> | has anything <odd> happened | were there any alarms |
    what was <odd> | anything <odd>;
<works> = work | fail | have data | lose ( data | its connection ) | drop out;
<worked> = worked | failed | had data | lost data | been ( online | offline | working | missing );
<fit> = online | offline | working | available | missing | connected | disconnected | silent | down;
<data> = ( did ( <sensor> | all sensors | any sensor ) <works> | ( has | have ) ( <sensor> | all sensors |
    any sensor ) <worked> | ( was | were ) ( /3/ <sensor> | all sensors | any sensor ) <fit> | how long
    was <sensor> <fit> | when was <sensor> <fit> );
<someone> = /4/ the person | somebody | someone | anybody | anyone | he | she | the wearer | they;
<past> = <whether> | <how_often> | <how_long> | <when> | <told> | <unusual> | <data>;
<question> = /6/ [ /0.3/ <opener> ] <past> [ /3/ <time> ] | /4/ [ /0.3/ <opener> ] <ask_now> [ /0.3/
    <right_now> ] | /2/ <follow>;
"""
