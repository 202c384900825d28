//! What people read: one line per value, fault and effect, and what is in a sink.

mod driver;

use driver::{Driver, v2};
use vipd_engine::{
    DropReason, EffectError, Input, Interval, Output, Outputs, Password, Priority, Timestamp, Vrid,
};

#[test]
fn a_value_out_of_range_is_told_with_its_range() {
    let told = [
        Priority::new(0).unwrap_err().to_string(),
        Priority::new(256).unwrap_err().to_string(),
        Vrid::new(256).unwrap_err().to_string(),
        Interval::from_centiseconds(4096).unwrap_err().to_string(),
        Interval::from_seconds(256).unwrap_err().to_string(),
    ];
    let ranges = [
        "priority must be 1 to 255",
        "priority must be 1 to 255",
        "virtual_router_id must be 1 to 255",
        "advert_int in centiseconds must be 1 to 4095",
        "advert_int in seconds must be 1 to 255",
    ];
    assert_eq!(told, ranges);
}

#[test]
fn a_password_is_1_to_8_octets_and_never_printed() {
    let refused = [&b""[..], b"123456789"].map(|text| Password::new(text).unwrap_err().to_string());
    assert_eq!(refused, ["length of auth_pass must be 1 to 8"; 2]);
    let longest = Password::new(b"12345678").expect("eight octets");
    assert_eq!(format!("{longest:?}"), "Password(..)");
}

#[test]
fn priorities_reasons_and_failed_effects_print_as_their_stable_words() {
    assert_eq!(driver::priority(254).to_string(), "254");
    for reason in DropReason::ALL {
        assert_eq!(reason.to_string(), reason.name());
    }
    let errors = [EffectError::Refused, EffectError::NoInterface, EffectError::TimedOut];
    let words = ["refused", "interface is down or gone", "no answer in time"];
    assert_eq!(errors.map(|error| error.to_string()), words);
}

#[test]
fn a_sink_shows_what_is_in_it_until_it_is_cleared() {
    let mut driver = Driver::new(v2());
    let mut out = Outputs::new();
    driver.engine.handle(Timestamp::ZERO, Input::Shutdown, &mut out);
    let shown: Vec<_> = out.as_slice().iter().map(Output::to_string).collect();
    assert_eq!(shown, ["VI_1: backup -> init: stopped"]);
    out.clear();
    assert!(out.as_slice().is_empty());
}
