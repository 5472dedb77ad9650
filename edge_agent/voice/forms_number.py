"""How one asks for what is measured, as JSGF rules: a pure table, part of forms.py.

`<quantity>`, `<adjective>`, `<comparative>`, `<superlative>`, `<measure>` (a unit) and `<measure_small>` (one
of which there are seldom a hundred) come from the model, as does `<measured>`, any of its words for them.
"""

from __future__ import annotations

NUMBER = """
<hundreds> = [ a | one ] hundred | <ones> hundred [ /0.3/ fifty ] | /3/ ( a | one ) thousand | /0.3/ one
    thousand ( two | five ) hundred | ( twelve | fifteen ) hundred | two thousand;
<small> = /4/ <tens> [ <ones> ] | /2/ <teens> | ( sixty | seventy | eighty | ninety ) [ /0.3/ five ];
<amount> = /5/ <small> [ /4/ <measure_small> ] | /3/ <hundreds> [ <measure> ] | /0.1/ <small> <measure>;
<limit> = ( /3/ above | /3/ over | /3/ below | /3/ under | more than | less than | higher than | lower
    than | at least ) <amount>;
<reach> = ( go | get | rise | /0.5/ climb ) ( /2/ above | /2/ over ) <amount> | ( drop | fall | go | get
    ) ( /2/ below | under | /0.5/ to ) <amount> | ( /0.5/ reach | /0.5/ hit | /0.5/ exceed ) <amount>;
<most> = /4/ highest | /4/ lowest | /3/ average | maximum | minimum | /0.3/ mean | /0.3/ peak;
<than> = than ( /3/ yesterday | /2/ this morning | last night | last week | before | an hour ago | at
    <clock> | it was | usual );
<rises> = rise | fall | go up | go down | change | drop | increase;
<risen> = risen | fallen | gone up | gone down | changed | dropped | increased;
<rising> = rising | falling | going up | going down | changing | dropping;
<what_is> = /3/ what's | /3/ what is | /2/ how's | how is | /0.5/ how much is;
<named> = <quantity> [ /0.1/ level | /0.1/ reading | /0.05/ value ];
<compared> = <comparative> | /0.15/ ( more | less ) <adjective>;
<lamp> = ( the light | /0.5/ the lights ) ( /3/ on | off );
<measure_now> = /8/ ( what's | what is ) the [ /0.15/ current ] <named> [ /0.05/ and the <quantity> | /0.6/
    <indoors> | /0.1/ like ] | ( how's | how is ) the <quantity> [ /0.3/ <indoors> ] | /6/ how <adjective> is
    it [ /0.7/ <indoors> ] | /5/ is it [ /0.5/ <degree> ] <adjective> [ /0.7/ <indoors> | /0.1/ enough [
    <indoors> ] ] | how <adjective> is the ( air | room ) | /0.4/ how's the ( air | room ) [ <indoors> ] |
    /0.1/ how ( good | bad ) is the air | is the ( air | room ) [ /0.4/ <degree> ] ( /4/ <adjective> | good |
    okay | all right | bad ) [ /0.3/ <indoors> ] | /0.4/ what <quantity> is it | /0.7/ is it <adjective> or
    <adjective> | /0.7/ is it getting <comparative> | is it <compared> [ /0.3/ now ] [ /4/ <than> ] | /0.2/
    how much <comparative> is it [ now ] [ /4/ <than> ] | is the <quantity> ( <rising> | rising or falling |
    going up or down ) | /0.5/ ( what | how many ) <measure> is it | ( give | tell | show ) me the [ /0.3/
    current ] <quantity> [ /0.1/ and the <quantity> | /0.1/ reading | /0.1/ level ] | /0.6/ is the <quantity>
    ( <limit> | okay | normal | high | low | too ( high | low ) ) | /0.5/ is it <limit> | /0.3/ what does it
    say for the <quantity> | how ( high | low ) is the <quantity> | /0.3/ ( is the light | are the lights ) (
    on | off ) | how much <quantity> is there | /0.3/ how much is the <quantity>;
<degree> = too | /0.7/ a bit | /0.4/ a little | /0.4/ very | /0.4/ getting | /0.2/ still;
<indoors> = /2/ in here | in the room | /0.4/ here | /0.3/ inside | /0.3/ in there | /0.2/ <in_room>;
<measure_past> = /4/ what was the <named> | /0.5/ what did the <quantity> ( read | say | get to ) | /0.7/ how
    ( did the <quantity> change | has the <quantity> changed ) | /0.2/ ( on average how <adjective> was it |
    how <adjective> was it on average ) | /0.5/ ( when | what time ) did it ( get | become | go ) (
    <adjective> | <comparative> ) | /0.2/ how much <comparative> ( was it | did it get ) [ <than> ] | /0.3/
    did <someone> ( ( leave | turn | switch ) the ( light | lights ) ( on | off ) | ( turn | switch ) ( on |
    off ) the ( light | lights ) ) | /2/ ( how was the <quantity> | what was the <quantity> like ) | /5/ what
    ( was | /0.6/ is | /0.3/ were ) the <most> <quantity> [ /0.1/ we've had | /0.1/ you measured | /0.1/ so
    far ] | /0.5/ what's the <most> <quantity> [ /0.1/ we've had | /0.1/ so far ] | /0.7/ ( what has | what's
    | how has ) the <quantity> been [ like ] | /0.7/ how <adjective> has it been | /0.7/ has it been [ /0.3/
    <degree> ] <adjective> | /0.5/ did ( it | the <quantity> ) stay ( above | below | under ) <amount> |
    /0.4/ ( how is | what's ) the <quantity> [ /0.3/ now ] compared ( to | with ) ( yesterday | this morning
    | last week ) | /4/ how <adjective> was it [ /0.4/ <indoors> ] | /4/ how <adjective> did it get [ /0.3/
    <indoors> ] | how ( high | low ) did the <quantity> ( go | get ) | what was the <superlative> it ( got |
    was ) | /0.3/ ( what's | what is ) the <superlative> ( it's | it has ) been | ( when | /0.4/ what time )
    was it ( <superlative> | /0.4/ <adjective> ) | when was the <quantity> ( highest | lowest | at its (
    highest | lowest ) ) | /2/ was ( /4/ it | the room | the air ) [ /0.4/ <degree> ] <adjective> [ /0.4/
    <indoors> ] | /0.6/ was ( it | the room ) <compared> [ <than> ] | /4/ did the <quantity> <reach> | /2/
    was the <quantity> [ /0.3/ ever ] <limit> | has the <quantity> [ /0.3/ ever ] been <limit> | /3/ was it [
    /0.2/ ever ] <limit> [ /0.1/ at any time | /0.1/ at any point ] | did it [ /0.2/ ever ] <reach> | ( when
    | how often ) did ( it | the <quantity> ) [ /0.2/ last | /0.2/ first ] <reach> | ( when | how long | how
    often ) was ( it | the <quantity> ) <limit> | /2/ has the <quantity> <risen> | /2/ did the <quantity>
    <rises> | [ /0.1/ by ] how much ( did the <quantity> <rises> | has the <quantity> <risen> ) | has it (
    got | become ) <comparative> | /0.3/ ( has it ( warmed up | cooled down ) | did it ( warm up | cool down
    ) ) | did ( it | /0.2/ the room ) get ( <compared> | [ /0.3/ too ] <adjective> ) | ( give | show | tell )
    me the <most> <quantity> [ for | of ] | /2/ <most> <named> | /0.5/ <quantity> | /0.3/ ( was the light |
    were the lights ) ( on | off | left on );
<measure_clause> = /3/ how <adjective> it is [ /0.5/ <indoors> ] | /3/ what the <quantity> is | how (
    high | low ) the <quantity> is | ( if | whether ) ( /5/ it | the room | the air ) ( is | /0.3/ was ) [
    /0.4/ <degree> ] ( <adjective> [ /0.5/ <indoors> ] | <comparative> [ /2/ <than> ] );
<measure_told> = /3/ how <adjective> it was [ /0.3/ <indoors> ] | /3/ what the [ /0.5/ <most> ]
    <quantity> was | how <adjective> it got | ( if | whether ) ( the <quantity> ( was <limit> | went ( above
    | below ) <amount> ) | it was <limit> );
<measure_short> = /4/ <quantity> | /3/ how <adjective> | <most> <quantity> | /0.5/ too <adjective> |
    /0.5/ <comparative> <than>;
"""
