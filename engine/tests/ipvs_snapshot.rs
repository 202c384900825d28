//! A director that is written down and read back goes on as if nothing had happened, and one that
//! somebody edited in between is refused or does no harm.

mod edits;
mod ipvs_world;

use edits::{EDITS, edit};
use ipvs_world::stage::{Op, Stage, op};
use ipvs_world::{World, config, tcp, virtual_server};
use proptest::prelude::*;
use serde_json::{Value, json};
use vipd_engine::Timestamp;
use vipd_engine::ipvs::{Ipvs, Snapshot, SnapshotError};

fn written(ipvs: &Ipvs) -> String {
    serde_json::to_string(&ipvs.snapshot()).expect("a snapshot can be written")
}

fn read_back(ipvs: &Ipvs) -> Ipvs {
    let read: Snapshot = serde_json::from_str(&written(ipvs)).expect("what was written");
    read.try_into().expect("there was such a director")
}

/// A director from the JSON of a snapshot, or why there is none.
fn restored(value: Value) -> Result<Ipvs, String> {
    let read: Snapshot = serde_json::from_value(value).map_err(|error| error.to_string())?;
    read.try_into().map_err(|error: SnapshotError| error.to_string())
}

/// A sequence, in the middle of which the director is written down. Sometimes it is being stopped.
fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let stop = prop::bool::weighted(0.2).prop_map(|stop| stop.then_some(Op::Stop));
    (prop::collection::vec(op(), 1..most), stop).prop_map(|(mut ops, stop)| {
        ops.extend(stop);
        ops
    })
}

proptest! {
    #[test]
    fn a_director_that_was_read_back_does_the_same_from_then_on(
        before in ops(30),
        after in prop::collection::vec(op(), 0..30),
    ) {
        let mut one = Stage::new(Timestamp::from_nanos(5));
        before.iter().for_each(|op| one.apply(op));
        let mut other = one.clone();
        other.world.ipvs = read_back(&one.world.ipvs);
        prop_assert_eq!(written(&one.world.ipvs), written(&other.world.ipvs));
        for op in &after {
            one.apply(op);
            other.apply(op);
            prop_assert_eq!(one.world.fingerprint(), other.world.fingerprint());
            prop_assert_eq!(one.world.log.split_off(0), other.world.log.split_off(0));
        }
        prop_assert_eq!(written(&one.world.ipvs), written(&other.world.ipvs));
    }

    #[test]
    fn a_director_that_somebody_edited_is_refused_or_does_no_harm(
        before in ops(20),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..EDITS), 1..4),
        after in prop::collection::vec(op(), 0..20),
    ) {
        let mut stage = Stage::new(Timestamp::from_nanos(5));
        before.iter().for_each(|op| stage.apply(op));
        let mut value: Value = serde_json::from_str(&written(&stage.world.ipvs)).expect("JSON");
        for (place, how) in edits {
            edit(&mut value, place, how);
        }
        let Ok(ipvs) = restored(value) else { return Ok(()) };
        stage.world.ipvs = ipvs;
        stage.world.edited = true;
        after.iter().for_each(|op| stage.apply(op));
        let _ = written(&stage.world.ipvs);
    }
}

type Edit<'a> = &'a dyn Fn(&mut Value);

#[test]
fn each_fault_of_a_snapshot_is_named() {
    let pools =
        ["10.0.0.1:80", "10.0.0.2:80"].map(|vip| virtual_server(tcp(vip), &["10.1.0.1:80"]));
    let world = World::with(&config(&pools));
    let value: Value = serde_json::from_str(&written(&world.ipvs)).expect("JSON");
    let refusal = |edit: Edit<'_>| {
        let mut edited = value.clone();
        edit(&mut edited);
        assert_ne!(edited, value, "something was edited");
        restored(edited).expect_err("it is refused")
    };
    let cases: [(&str, Edit<'_>); 9] = [
        ("two virtual servers have one name", &|it| {
            it["table"]["pools"][1]["config"] = it["table"]["pools"][0]["config"].clone();
        }),
        ("a virtual server has real servers that cannot be", &|it| {
            it["table"]["pools"][0]["servers"][0]["place"] = json!(1);
        }),
        ("services and virtual servers do not agree in number", &|it| {
            it["table"]["pools"][0]["services"] = json!([]);
        }),
        ("a virtual server has a service that is not its own", &|it| {
            it["table"]["services"][0][1]["owner"] = json!(1);
        }),
        ("a destination is of no real server", &|it| {
            it["table"]["services"][0][1]["destinations"][0][1]["server"] = json!(1);
        }),
        ("a service is unknown and nobody asks for it", &|it| {
            it["table"]["services"][0][1]["kernel"] = json!("Unknown");
        }),
        ("services and virtual servers do not agree in number", &|it| {
            it["table"]["pools"][0] = json!(null);
        }),
        ("what waits has a number that was not given yet", &|it| {
            it["waiting"] = json!({ "Batch": { "number": 99, "limit": 0, "commands": [] } });
        }),
        ("commands count too far", &|it| it["next_number"] = json!(u64::MAX)),
    ];
    for (expected, edit) in cases {
        assert_eq!(refusal(edit), expected);
    }
}
