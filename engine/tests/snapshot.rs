//! An engine that is written down and read back goes on as if nothing had happened, and one that
//! somebody edited in between is refused or does no harm.

mod edits;
mod inputs;

use edits::{EDITS, edit};
use inputs::{CONFIGS, Op, World, directed, op};
use proptest::prelude::*;
use serde_json::{Value, json};
use vipd_engine::{Engine, LinkState, Output, Snapshot, SnapshotError, Timestamp};

fn written(engine: &Engine) -> String {
    serde_json::to_string(&engine.snapshot()).expect("a snapshot can be written")
}

fn read_back(engine: &Engine) -> Engine {
    let read: Snapshot = serde_json::from_str(&written(engine)).expect("what was written");
    read.try_into().expect("there was such an engine")
}

/// An engine from the JSON of a snapshot, or why there is none.
fn restored(value: Value) -> Result<Engine, String> {
    let read: Snapshot = serde_json::from_value(value).map_err(|error| error.to_string())?;
    read.try_into().map_err(|error: SnapshotError| error.to_string())
}

/// A sequence, in the middle of which the engine is written down. Sometimes it is being stopped.
fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let stop = prop::bool::weighted(0.3).prop_map(|stop| stop.then_some(Op::Shutdown));
    (prop::collection::vec(op(), 0..most), stop).prop_map(|(mut ops, stop)| {
        ops.extend(stop);
        ops
    })
}

proptest! {
    #[test]
    fn an_engine_that_was_read_back_does_the_same_from_then_on(
        which in 0..CONFIGS,
        before in ops(40),
        after in prop::collection::vec(op(), 0..40),
    ) {
        let mut world = World::new(Timestamp::from_nanos(1), which);
        before.iter().for_each(|op| world.apply(op));
        let mut other = world.clone();
        other.engine = read_back(&world.engine);
        prop_assert_eq!(written(&world.engine), written(&other.engine));
        for op in &after {
            prop_assert_eq!(world.fingerprint(), other.fingerprint());
            world.apply(op);
            other.apply(op);
            let (one, two): (Vec<_>, Vec<_>) = (world.log.split_off(0), other.log.split_off(0));
            prop_assert_eq!(one, two, "after {:?}", op);
        }
        prop_assert_eq!(written(&world.engine), written(&other.engine));
    }

    #[test]
    fn outputs_that_were_read_back_are_the_same(
        which in 0..CONFIGS,
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let mut world = World::new(Timestamp::from_nanos(1), which);
        ops.iter().for_each(|op| world.apply(op));
        for (_, output) in &world.log {
            let text = serde_json::to_string(output).expect("an output can be written");
            let back: Output = serde_json::from_str(&text).expect("and read");
            prop_assert_eq!(output, &back);
        }
    }

    #[test]
    fn an_engine_that_somebody_edited_is_refused_or_does_no_harm(
        which in 0..CONFIGS,
        before in ops(30),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..EDITS), 1..4),
        after in prop::collection::vec(op(), 0..30),
    ) {
        let mut world = World::new(Timestamp::from_nanos(1), which);
        before.iter().for_each(|op| world.apply(op));
        let mut value: Value = serde_json::from_str(&written(&world.engine)).expect("JSON");
        for (place, how) in edits {
            edit(&mut value, place, how);
        }
        let Ok(engine) = restored(value) else { return Ok(()) };
        world.engine = engine;
        after.iter().for_each(|op| world.apply(op));
        let _ = written(&world.engine);
    }
}

proptest! {
    #[test]
    fn one_with_a_director_that_somebody_edited_is_refused_or_does_no_harm(
        which in 0..CONFIGS,
        before in prop::collection::vec(directed::op(), 0..30),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..EDITS), 1..4),
        after in prop::collection::vec(directed::op(), 0..30),
    ) {
        let mut world = World::new(Timestamp::from_nanos(1), which);
        world.apply(&Op::Direct(which));
        before.iter().for_each(|op| world.apply(op));
        let mut value: Value = serde_json::from_str(&written(&world.engine)).expect("JSON");
        for (place, how) in edits {
            edit(&mut value, place, how);
        }
        let Ok(engine) = restored(value) else { return Ok(()) };
        world.engine = engine;
        after.iter().for_each(|op| world.apply(op));
        let _ = written(&world.engine);
    }
}

type Edit<'a> = &'a dyn Fn(&mut Value);

#[test]
fn each_fault_of_a_snapshot_is_named() {
    let mut world = World::new(Timestamp::from_nanos(1), 1);
    world.apply(&Op::Wait(10_000_000_000));
    world.apply(&Op::Link { interface: 1, state: LinkState::Up });
    let value: Value = serde_json::from_str(&written(&world.engine)).expect("JSON");
    let refusal = |edit: Edit<'_>| {
        let mut edited = value.clone();
        edit(&mut edited);
        assert_ne!(edited, value, "something was edited");
        restored(edited).expect_err("it is refused")
    };
    let cases: [(&str, Edit<'_>); 9] = [
        ("VI_1 has the id of another instance", &|it| it["instances"][0]["id"] = json!(1)),
        (
            "vrrp_instance VI_1 / down_timer_adverts: the down timer needs at least one advert",
            &|it| {
                it["instances"][0]["config"]["down_timer_adverts"] = json!(0);
            },
        ),
        ("two interfaces have one name", &|it| it["observed"][0]["3"]["name"] = json!("eth0")),
        ("VG has members that cannot be", &|it| it["groups"][0]["members"] = json!([0, 7])),
        ("VI_2 and its group do not agree", &|it| it["groups"][0]["members"] = json!([0])),
        ("VI_1 runs without a source", &|it| it["instances"][0]["port"] = json!(null)),
        ("VI_1 counts too far", &|it| it["instances"][0]["next_number"] = json!(u64::MAX)),
        ("unclaimed datagrams are counted too far", &|it| it["unclaimed"][0] = json!(u64::MAX)),
        ("virtual_router_id must be 1 to 255", &|it| {
            it["instances"][0]["config"]["vrid"] = json!(0);
        }),
    ];
    for (expected, edit) in cases {
        assert_eq!(refusal(edit), expected);
    }
}
