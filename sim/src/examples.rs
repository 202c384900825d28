//! What `--help` of vipsim and of its commands ends with.

pub const EXAMPLES: &str = "\
Examples:
  vipsim run scenarios/failover/pkill-master.toml
      Stop the master, see the takeover, start it again.
  vipsim run scenarios/failover/pkill-master.toml --json | jq .verdict
      The same for programs.
  vipsim run scenarios/failover/pkill-master.toml --pcap run.pcapng
  tcpdump -vvv -r run.pcapng
      Look at every packet, with the tool that you know.
  vipsim run scenarios/loss/rough-link.toml --seed 7 --until 10m
      Another draw of everything random, and ten minutes of it.
  vipsim run scenarios/cut/heal-loser-first.toml --html run.html
      A page with the timeline, for any browser; --perfetto and --jsonl for other programs.

Exit status:
  0  every named property has the expected verdict, every expectation is met
  1  something is not so
  2  the scenario, a configuration or the arguments cannot be used
  3  skipped: the simulated world lacks a step of the scenario; or interrupted, and all was
     as expected until then

Diagnostics go to standard error, in colour on a terminal unless NO_COLOR is set.";

pub const SUITE_EXAMPLES: &str = "\
Examples:
  vipsim suite
      Every scenario below the folders `scenarios` and `sim/regressions`, and one table.
  vipsim suite failover/
      One family; a pattern is any part of a name, such as ipv6.
  vipsim suite --folder my/rehearsals --jobs 1
      Your own, one after the other.
  vipsim suite --json | jq -r '.scenarios[] | select(.verdict != \"pass\") | .scenario'
      The names of those that do not pass.

Exit status:
  0  no scenario failed; some may be skipped, and the last line counts them
  1  something is not as expected
  2  a scenario, a configuration or the arguments cannot be used, or no name matches";

pub const HUNT_EXAMPLES: &str = "\
Examples:
  vipsim hunt scenarios/ipvs/pair.toml
      1,000 random schedules of faults over this topology, ten simulated minutes each.
  vipsim hunt my/pair.toml --seeds 100000 --jobs 8
      Your own pair, and for longer. The steps of the file are not played.
  vipsim hunt --conf lb1.conf lb2.conf
      The files alone, a host for each: the network between them is made up, and said.
  vipsim hunt scenarios/ipvs/pair.toml --html hunt.html
      What is printed as a page, too, with the timelines of violations.
  vipsim hunt scenarios/ipvs/pair.toml --seed 4711
      One of them again, with its whole timeline.
  vipsim hunt my/pair.toml --seeds 1000000000 --shard 3/1000 --out part-3.json
      The fourth of a thousand parts, on one of many machines; `vipsim merge` adds them.

Exit status:
  0  no violation, but those for want of S8 where no host has `dead_man`
  1  a violation; a card says which, and how to see it again
  2  the scenario, a configuration, the arguments or an output file cannot be used
  3  interrupted, and no violation until then

Ctrl-C ends the hunt, and prints and writes what was found until then.";

pub const MERGE_EXAMPLES: &str = "\
Examples:
  vipsim merge part-*.json
      The parts of a hunt as one.
  vipsim merge --json part-*.json > whole.json
      The same for programs, and for another merge.

Exit status:
  0  no violation, but those for want of S8 where no host has `dead_man`
  1  a violation
  2  a file cannot be read, is damaged, was written by another version, hunted something else, or
     has a seed that another one has too
  3  a part was interrupted, and there is no violation";

pub const SHRINK_EXAMPLES: &str = "\
Examples:
  vipsim shrink scenarios/ipvs/pair.toml --hunted 4711
      What `vipsim hunt scenarios/ipvs/pair.toml` found with seed 4711, as small as it gets.
  vipsim shrink scenarios/ipvs/pair.toml --hunted 17 --class cut --for 3m
      Seed 17 of a hunt for cuts alone, with seeds of three minutes.
  vipsim shrink my/long-story.toml --property S1 -o my/short-story.toml
      Any scenario that violates S1, in fewer steps and rounder numbers.
  vipsim shrink --conf lb1.conf lb2.conf --hunted 17 -o -
      A hunt over bare configuration files; the scenario on standard output.

Without -o the file goes into the folder sim/regressions if there is one, else into this one. It
names configurations by their way from there. `vipsim suite` plays it from then on.

Exit status:
  0  shrunk; the name of the file is on standard output
  1  it violates nothing, or not that property
  2  the scenario, a configuration, the arguments or the output file cannot be used

Ctrl-C writes the smallest one that was found until then.";

pub const REHEARSE_EXAMPLES: &str = "\
Examples:
  vipsim rehearse lb1.conf lb2.conf
      What each class of faults means for this pair, and what the files could do better.
  vipsim rehearse lb1.conf lb2.conf --html rehearsal.html
      The same as one HTML file, too.
  vipsim rehearse lb1.conf lb2.conf --class cut --class pause --runs 10000
      Two classes, looked at more closely.
  vipsim rehearse lb1.conf lb2.conf --class cut --seed 17
      One run again, with its whole timeline.
  vipsim rehearse a=pair.conf b=pair.conf
      One file with `@a` and `@b` lines for both.

Exit status:
  0  everything is within its formula
  1  something lasted longer than its formula
  2  a file, the arguments or the output file cannot be used, or no two files share a VRID
  3  interrupted, and everything until then was within its formula

Ctrl-C shows and writes the worst of what was played until then.";

pub const PROVE_EXAMPLES: &str = "\
Examples:
  vipsim prove --nodes 3 --faults 3
      Every placement of three faults among three nodes.
  vipsim prove --nodes 3 --faults 3 --property some-two-masters --out found.toml
  vipsim run found.toml
      A wording that is false, and the shortest run that shows it.
  vipsim prove --nodes 2 --faults 5 --strict --property L2
      What the rules of the RFC alone do not hold.
  vipsim prove --nodes 5 --faults 2 --delays 1
      Five nodes, if every advert takes one quantum.
  vipsim prove --nodes 3 --faults 4 --quanta 8 --memory 8G --json | jq .complete
      The same for programs.

A search is complete for its lattice: the quantum of time, the delays and the instants at which
faults fall. They are printed with it, and docs/proving.md says what they leave out.

Exit status:
  0  complete, and every property holds
  1  a counter-example was found
  2  the arguments or an output file cannot be used
  3  not complete: interrupted by Ctrl-C, or --memory was not enough

How far it is goes to standard error.";

pub const CONFIG_EXAMPLES: &str = "\
Examples:
  vipsim config /etc/keepalived/keepalived.conf
      What would be in force, as JSON; mistakes and advice on standard error.
  vipsim config scenarios/cut/pair.conf --id a
      The same file as host a reads it.

Exit status:
  0  nothing to remark but notes
  1  usable, with warnings
  2  unusable";

pub const REPLAY_EXAMPLES: &str = "\
Examples:
  vipsim replay /var/log/vipd/segment-00000007.jsonl
      What the engine asked for, line by line, and whether it is what it asked for then.
  vipsim replay segment-00000007.jsonl --json | jq .difference
      The same for programs.

Exit status:
  0  the same outputs, byte for byte
  1  the first output that differs is shown, and its line in the file
  2  it cannot be used to its end: damaged, cut, of another form; what could be read is shown";
