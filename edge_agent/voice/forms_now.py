"""How one asks about now, about the sensors, and about an answer, as JSGF rules: part of forms.py."""

from __future__ import annotations

NOW = """
<is_it> = /2/ what is | /2/ what's;
<here> = here | there | in here | in there | in the room | /0.3/ at home | /0.3/ outside | /0.3/ in |
    /0.15/ around | /0.15/ about | /0.15/ home | /0.1/ ( in the room | here ) with ( me | him | her );
<people> = /3/ somebody | /3/ anybody | /3/ someone | /3/ anyone | /0.15/ ( anyone | someone | anybody ) else
    | /0.7/ a person | /0.1/ people | /0.1/ any people | /0.3/ any person;
<someone> = /6/ the person | somebody | someone | anybody | anyone | /1.2/ he | /1.2/ she | /0.2/ the
    wearer | /0.03/ they | /0.03/ i;
<whoever> = /8/ <someone> | /3/ i | /0.7/ they | /0.2/ we;
<see_hear> = /4/ hear | see | sense | perceive | notice | detect;
<now_what> = /0.2/ is <someone> moving | /0.3/ is <someone> using <fixture> | /0.2/ who is ( <place> |
    <spent> ) | /0.2/ ( what is | what's ) that | /0.2/ what does it sound like [ <here> ] | /0.3/ is there
    still <thing> | /0.2/ is there more than <counted> <here> | /0.1/ what am i up to | /0.1/ is everything
    okay with the sensors | /0.15/ ( should i | do i ( need | have ) to ) ( open ( a | the ) window | do
    something | worry ) | /0.15/ <is_it> <someone> <place> doing | /0.1/ ( what's it like | how's it ) <here>
    | /3/ <is_it> <someone> ( /3/ doing | up to ) [ /0.1/ <here> ] | /2/ <is_it> ( going on | happening | new
    | up ) [ <here> ] | /4/ what do you <see_hear> [ /0.1/ <here> ] | /2/ what can you ( /2/ hear | see |
    /0.3/ sense | /0.2/ detect ) [ /0.1/ <here> ] | /2/ what are you ( hearing | seeing ) | what do you know
    | <is_it> ( that | this | the ) ( sound | noise ) | what ( sound | sounds | noise | noises ) ( is | are )
    ( that | this | there ) | what [ ( kind | /0.3/ sort ) of ] ( sound | noise ) ( is ( this | that | it ) |
    do you hear | can you hear ) | tell me what ( you are hearing | you ( hear | see ) | is going on |
    <someone> is doing ) | /0.3/ do you know what ( he's | she's | i'm ) doing | how is the person moving |
    what does <someone> do | describe the ( sound | noise | situation | scene | room ) | [ give me ] a (
    summary | report ) | how are things | how is everything | is everything <fine> [ /0.2/ <here> ] | tell me
    everything | who is <here> | /2/ who's <here> | where is <someone> | <is_it> the ( posture | activity |
    sound | situation | status ) [ of the person | in the room ] | [ in ] ( what | which ) posture is the
    person [ in ] | how does ( it sound | the room sound ) | what am i doing | /0.5/ where am i | /0.3/ (
    where is | what is | what's ) ( everyone | everybody ) [ doing ] | /0.1/ what made that ( noise | sound )
    | /0.3/ what are they doing | /0.5/ what can you tell me | /0.3/ how's everything | /0.3/ how are things
    <here> | is all ( quiet | well ) | /0.3/ any news | /0.3/ what can you ( do | tell me );
<fine> = okay | fine | alright | /0.7/ all right | /0.5/ normal | /0.3/ quiet | /0.2/ working;
<states> = <spent> [ /0.3/ or <spent> ];
<now_whether> = do you ( /3/ hear | see | notice ) ( anything | something | anyone | a ( noise | sound ) |
    /6/ <sound> | any <some_sound> ) | /2/ can you [ /0.1/ still ] hear ( anything | /3/ <sound> | /0.2/ any
    ( noise | sound ) | /2/ <heard> ) | are you hearing ( anything | <sound> ) | is there ( any ( sound |
    noise ) | /3/ <thing> | /2/ <people> [ /2/ <here> | <place> ] | /0.5/ anything going on ) | are there (
    any <some_sound> | [ any ] people <here> | /2/ <counted> [ <here> ] ) | /2/ is ( that | it | /0.2/ this )
    <thing> | /0.1/ are ( those | these ) <some_sound> | /0.05/ will <clause_base> | is it ( quiet | silent |
    loud | /0.3/ noisy | /0.3/ all quiet ) [ <here> ] | /0.3/ how ( loud | quiet ) is it [ <here> ] | /7/ is
    <clause_ing> [ /0.05/ <again> ] | /0.1/ are <clause_ing> | /1.5/ am i <states> | /0.5/ are they <states>
    | /0.7/ is <someone> <states> | /3/ is <people> ( <here> | <place> ) | is <someone> [ /0.3/ still ]
    <place> | are you sure | /2/ is it [ /0.5/ still ] raining [ outside ] | are we alone | is <someone>
    still <spent> | /0.1/ are you <fit> | /0.7/ ( can | do ) you see <people> [ <here> | <place> ] | /0.3/ is
    there <sound> <goes> | /0.5/ is there ( still <people> ( <here> | <place> ) | <sound> <here> ) | /0.3/ is
    <lamp> | /0.3/ has it stopped <ing_heard> | /0.6/ is <start> ( <goes> | still <goes> ) | /0.5/ is it
    <state> | /0.4/ is <people> else <here> | /0.5/ is the room ( free | being used | in use | busy ) | /0.2/
    is <room> ( free | in use | busy );
<goes> = running | going | on | there;
<again> = again | still | /0.5/ at all;
<now_sensors> = which sensors ( do you have | are ( working | online | offline | missing | connected ) ) |
    are all [ the | your ] sensors ( working | online | okay ) | /3/ is <sensor> [ /0.3/ still ] ( working |
    online | connected | on | okay | /0.3/ offline ) | what does <sensor> ( say | see | hear | measure | show
    | /0.3/ report ) | what do [ the | your ] sensors ( say | see ) | /0.3/ are you ( working | online |
    there | okay | listening | recording ) [ /0.2/ properly ] | /0.2/ ( what are | give me | tell me | read
    me ) [ all ] the readings | /0.3/ is everything ( working | online ) | /0.3/ are ( any | all ) [ of the |
    the | your ] sensors <fit> | /0.2/ do you [ still ] ( have | get ) data from <sensor> | /0.3/ what
    sensors ( do you have | have you got );
<ask_now> = /3/ <now_what> | /4/ <now_whether> | /0.7/ <now_sensors> | /0.7/ <manifest_question> | ( how many
    people ( /3/ are <here> | /0.3/ are there <here> | do you ( see | count ) ) | /0.1/ how many are ( there
    <here> | <here> ) | /0.1/ how many people can you see | /0.1/ how many persons are <here> | /0.2/ how
    many of us are <here> | /0.3/ what is the number of people in the room ) | /2/ <measure_now> | /0.05/
    <measure_question> | <anything_now>;
<anything_now> = /0.5/ is there anything <odd> [ going on | happening ];
<follow> = /2/ why | why do you ( think so | say that | /0.5/ think that ) | what makes you ( ( think | say )
    ( so | that ) | /0.3/ so sure ) | [ and ] how do you know [ that | /0.3/ this ] | which sensor ( /2/ told
    you [ that ] | says so | said so | was it | saw that | heard that | /0.7/ says that | /0.1/ told you so |
    /0.5/ detected that | /0.3/ is that from | /0.3/ did that come from | /0.3/ do you mean ) | who ( told
    you | says | said ) [ that | so ] | /2/ [ and ] are you ( [ really | quite | /0.3/ absolutely ] sure |
    certain | /0.2/ positive ) [ /0.4/ about ( that | it | this ) | /0.1/ of that ] | how ( sure | certain |
    /0.3/ confident ) are you [ /0.2/ about that | /0.2/ of that ] | really | what should i do | [ and ]
    before that | /0.3/ and before | /0.3/ and the time before [ that ] | [ and ] what was before [ that ] |
    [ and ] what happened before that | and earlier | since when [ is it so ] | how long has ( it | that )
    been ( like that | so | the case ) | /0.5/ <about_that> | /4/ ( what about | how about | and [ what about
    ] | /0.1/ same for | /0.3/ or ) ( <time> | <calendar> | the last hour | /0.3/ <period> | /0.1/ now ) |
    /1.5/ ( what about | how about | and [ /0.3/ what about | /0.3/ how about ] ) ( <thing> | <start> | the
    person | the room | <sensor> | /2/ the <quantity> | /0.3/ the <most> [ /0.3/ one ] | /0.3/ outside ) |
    and ( how ( often | long | many times ) | when ) [ was ( it | that ) | did ( it | that ) happen ] | when
    was that | how long was that | how often | /0.4/ stop | /0.6/ thank you | /0.2/ thanks;
<about_that> = which of your sensors ( told you | says | said ) ( that | so ) | how sure are you about (
    <thing> | <start> ) | [ and ] how long was that for | what about the ( day | night ) before [ that ] |
    says who | based on what | what is that based on | what are you basing that on | how can you ( tell |
    know that ) | where do you know that from | how did you ( know that | work that out ) | from ( what |
    which ) sensor do you know ( that | this ) | what ( sensor | sensors ) ( was | told you ) that | is that
    ( right | true | correct | certain ) | can i ( trust that | be sure ) | how reliable is that | /2/ [ and
    ] how many times | /2/ [ and for | for ] how long | [ and ] when exactly | [ and ] when did ( that | it )
    ( happen | start | stop | begin | end ) | [ and ] how long did ( that | it ) last | [ and ] how often did
    ( that | it ) happen | [ and ] when was the ( last | first ) time | what did you ( hear | see ) before
    that | [ and ] ( after that | then ) | [ and ] what happened ( then | after that | next ) | what about
    before that | [ and ] ( the day | the night | the week ) before [ that ] | [ and ] what came ( before |
    after ) [ that ] | could ( it | that ) ( be | have been ) ( something else | <thing> ) | was that ( today
    | yesterday | this morning ) | [ and ] how warm was it then | [ and ] the ( last | first ) time;
"""
