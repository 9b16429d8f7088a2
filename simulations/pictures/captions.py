"""What is said of each picture. HTML, in which line breaks are blanks."""

LEAD = """Grapevine is a cluster of API gateways without a leader: each node holds a copy of the
configuration, and they tell one another what changes and who is there. On this page that
protocol's own code ran in a simulated world, with a clock, a network, disks and a database that
all fail on purpose. Every picture is of real runs. One number each, the seed, brings them back as
they were."""

SPREADING = """A write commits at the database through one node, which tells the others at once. A
curve says what share of the nodes had the change after how long: the further left, the sooner;
where it stops below 100 %, some never got it. Time is logarithmic: each step is ten times the
last."""

BESIDE = """<b>Grapevine beside three other designs</b>, on one model of a network: a packet takes
0.1 ms and a random 0.15 ms more, and keeps the processor that receives it busy for 50 µs. Gossip
on a tick passes news on five times a second, so most of the wait is for the next tick. A full mesh
tells everybody once and repairs nothing: what is lost stays lost. Plumtree sends down a tree, and
mends it where a branch is silent."""

BY_SIZE = """<b>Grapevine alone, by size and by loss.</b> From three nodes to many it hardly takes
longer. What is lost on the way is noticed by what others tell, and asked for within milliseconds;
the last few wait for a heartbeat that shows the gap."""

ALARMS = """Every node asks another one each second whether it is there. One that doesn't answer is
suspected first, so that it can object; only then is it declared failed."""

FOUND = """<b>{count} clusters of {nodes} nodes each.</b> Where only a process died, its machine's
kernel refuses what is sent to it: that is proof, and nobody waits. Where the whole machine is
silent the others must give it time. A node that starts again is known to all within a few
milliseconds."""

TOUR = """{nodes} nodes, a write every 0.4 seconds, and one misfortune after another. The numbers
above the picture are those of the list below it."""

BANDS = """<b>Above, a band for each node: what the others hold it for.</b> The band is divided as
they are: half yellow means that half of them suspect it. The thin line below a band is the truth.
Where a partition lasts, each side comes to hold the other for failed; when it heals they are one
cluster again within seconds. <b>Below, how many changes each node is behind</b>: a side that is
cut off from whoever writes asks the database itself, at its leisure; whoever comes back catches up
at once. While the authority is away there is nothing new to be behind of. Rest on a colour to read
what it says."""

DRAWN = """In a swarm run the seed chooses everything. This is seed {seed}: {nodes} nodes, {faults}
faults, {sealed}. When they end, {core} must become one cluster, and nothing may change in it any
more."""

DRAWN_BANDS = """<b>The same bands for a run that was drawn by lot.</b> Nodes beyond those that it
began with are doubles of others, or strangers."""

BATCH = """Each seed draws a cluster of 1 to 7 nodes, odd settings, and which of some thirty kinds
of faults befall it, how often and how hard. After every step the rules are checked; then a random
part is healed, which must be one cluster again in bounded time."""

TILES = """<b>One tile for each seed</b>; the number is its seed. Rest on it to read what happened
there."""

SETTLED = """<b>Left: how much of its bound each cluster needed</b> to become one again, once its
faults had ended: the bound follows from its own settings, and is worked out before the run.
<b>Right: what was done to them</b>, by kind, and how often."""

SOMETIMES = """<b>In how many of these runs something happened that must happen now and then</b>,
or the runs test less than they claim. A batch of 400 in which one of these is never seen fails.
Rest on a bar to read what its name means."""

TABLES = """A replica that missed too much, or was damaged, asks a peer for what differs and gets
little more than that. A fence answers a client that wants to know when everybody has its write."""
