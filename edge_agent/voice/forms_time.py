"""How times and numbers are said, as JSGF rules: a pure table, part of forms.py."""

from __future__ import annotations

TIME = """
<ones> = one | two | three | four | five | six | seven | eight | nine;
<teens> = ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen |
    nineteen;
<tens> = twenty | thirty | forty | fifty;
<number> = /4/ <ones> | /2/ <teens> | /2/ ( ten | fifteen | twenty | thirty | forty five ) | <tens> [
    <ones> ] | /0.2/ sixty | /0.2/ ninety | /0.4/ twenty four | /0.05/ a couple of | /0.05/ a few;
<unit> = /4/ minutes | /4/ hours | /0.5/ seconds | days | /0.5/ weeks;
<hour> = <ones> | ten | eleven | twelve;
<half> = a_m | p_m;
<minute> = thirty | fifteen | forty five | ten | twenty | forty | fifty;
<past_to> = /3/ five | /3/ ten | /3/ twenty | /2/ twenty five | /0.3/ <minute>;
<clock> = /8/ <hour> [ /0.3/ o'clock ] [ /0.3/ <half> ] | half past <hour> | /0.4/ half <hour> | [ a ]
    quarter ( past | to ) <hour> | /0.7/ <past_to> ( past | to ) <hour> | /0.7/ <hour> <minute> [ /0.3/
    <half> ] | /2/ noon | /2/ midnight | /0.3/ midday | /0.3/ lunchtime;
<weekday> = monday | tuesday | wednesday | thursday | friday | saturday | sunday;
<part> = /2/ morning | afternoon | evening | /2/ night;
<meal> = lunch | breakfast | dinner | /0.2/ supper | /0.2/ lunchtime | /0.2/ work;
<day> = /6/ yesterday | /6/ today | /0.5/ the day before [ /2/ yesterday ] | /2/ on <weekday> | /0.5/ [
    last ] <weekday>;
<ordinal> = first | second | third | fourth | fifth | sixth | seventh | eighth | ninth | tenth | eleventh
    | twelfth | thirteenth | fourteenth | fifteenth | sixteenth | seventeenth | eighteenth | nineteenth |
    twentieth | thirtieth | ( twenty | thirty ) first | twenty ( second | third | fourth | fifth | sixth |
    seventh | eighth | ninth );
<month> = january | february | march | april | may | june | july | august | september | october |
    november | december;
<date> = on ( the <ordinal> of <month> | <month> [ the ] <ordinal> );
<some_part> = /5/ this <part> | /5/ last night | last evening | /0.4/ tonight | /2/ yesterday <part> | [
    on ] <weekday> <part> | /2/ ( in | during | /0.3/ through | /0.2/ throughout ) the <part> | /0.3/ at
    night | /0.8/ overnight | ( all | the whole ) ( day | night | morning ) [ /0.3/ ( yesterday | today ) ] |
    /0.8/ ( earlier | so far ) today | /0.2/ ( early | late | later ) this <part> | /0.1/ late last night |
    /0.2/ earlier [ on ] | /0.3/ ( during | in ) the day | /0.2/ in the early hours | /0.2/ first thing this
    morning | /0.2/ all ( day | night ) long | /0.2/ the <part> before [ /2/ last ] | /0.2/ yesterday at
    night;
<recent> = ( /4/ in | over | during | within | for | /0.3/ of ) the ( /3/ last | past ) ( /4/ <number> <unit>
    | minute | /2/ hour | [ half ] an hour | half hour | day | week | /1.5/ few ( minutes | hours | days ) |
    /0.2/ couple of <unit> | /0.1/ hour and a half );
<ago> = /2/ <number> <unit> ago | ( an hour | half an hour | a minute | a moment | a while | a week ) ago |
    /0.2/ about an hour ago | /0.2/ ( an hour | <ones> hours ) and a half ago | /0.7/ ( a couple of | a few )
    <unit> ago;
<since> = [ /0.05/ ever ] since ( /4/ <clock> | yesterday [ <part> ] | this ( morning | afternoon ) |
    last ( night | week ) | <meal> | <weekday> | <number> <unit> ago | then | /0.3/ the weekend | /0.3/ the
    morning | /0.3/ <clock> ( this <part> | yesterday ) );
<between> = /2/ between <clock> and <clock> | from <clock> ( to | until | till ) <clock> | /0.2/ between
    <meal> and <meal> | /0.2/ from <clock> onwards;
<at> = /8/ ( /4/ at | around | about | /2/ before | /2/ after | until | by ) <clock> | /4/ ( before |
    after | during | at ) <meal> | /0.5/ at that time | /0.5/ at ( about | around ) <clock> | /0.5/ [ at ]
    this time yesterday;
<calendar> = this week | last week | this month | last month | [ on | over | at ] ( this | last | the )
    weekend | /0.3/ all week;
<absent> = ( while | /0.2/ when ) ( i was | we were ) ( away | out | gone | asleep | sleeping ) | /0.1/ while
    i slept | /0.3/ since i ( left | got up | woke up );
<time> = /8/ <day> | /8/ <some_part> | /8/ <recent> | /2/ <ago> | /3/ <since> | /3/ <at> [ <day> |
    <some_part> ] | /0.7/ <at> in the <part> | /3/ <between> [ <day> | <some_part> | /0.3/ in the <part> ] |
    <calendar> | <day> <at> | /0.2/ <day> <between> | <date> | <absent> | /0.7/ just now;
<period> = /4/ <day_period> | /2/ ( last night | this <part> | yesterday [ <part> ] | today ) | ( this |
    last ) week | the ( last | past ) ( <number> <unit> | hour | day | week );
<day_period> = the <part> | the day | the night | the week | /0.5/ the weekend | /0.6/ my ( day | night |
    /0.5/ <part> );
<right_now> = /2/ now | /2/ right now | /2/ at the moment | currently | just now | /0.7/ still | today |
    /0.4/ at the minute | /0.3/ at this moment | /0.3/ as we speak | /0.2/ at present;
"""
