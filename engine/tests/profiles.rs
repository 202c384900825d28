//! What each profile chooses where the RFCs and keepalived disagree, and what a status tells of the
//! last advert that counted.

mod driver;

use driver::{Driver, ip, nanos, v2};
use vipd_engine::rules::{
    ArpTarget, ChecksumForm, ChecksumRule, FirstAddressRule, ListRule, LowerPriorityRule, NaBurst,
    OwnerRule,
};
use vipd_engine::{Profile, Rules, Timestamp};

const DROP_IN: Rules = Rules::of(Profile::DropIn);

/// RFC 3768 and RFC 5798 agree but for the list; RFC 9568 stands by itself.
#[test]
fn the_profiles_of_the_rfcs_leave_keepalived_where_their_text_does() {
    let rfc5798 = Rules {
        profile: Profile::Rfc5798,
        owner: OwnerRule::Discard,
        lower_priority: LowerPriorityRule::Silent,
        yield_advert: false,
        check_unicast_source: true,
        accept: false,
        na_burst: NaBurst::Single,
        resign_reorder: false,
        ..DROP_IN
    };
    assert_eq!(Rules::of(Profile::Rfc5798), rfc5798);
    let rfc3768 = Rules { profile: Profile::Rfc3768, list: ListRule::Discard, ..rfc5798 };
    assert_eq!(Rules::of(Profile::Rfc3768), rfc3768);
    let rfc9568 = Rules {
        profile: Profile::Rfc9568,
        owner: OwnerRule::Process,
        lower_priority: LowerPriorityRule::Assert,
        checksum_sent: ChecksumForm::MessageOnly,
        checksum_accepted: ChecksumRule::Only(ChecksumForm::MessageOnly),
        first_address: FirstAddressRule::Discard,
        arp_target: ArpTarget::VirtualMac,
        ..rfc5798
    };
    assert_eq!(Rules::of(Profile::Rfc9568), rfc9568);
}

#[test]
fn drop_in_is_keepalived_with_what_mends_its_split_brains() {
    let expected = Rules {
        profile: Profile::DropIn,
        list: ListRule::Warn,
        owner: OwnerRule::Process,
        lower_priority: LowerPriorityRule::Assert,
        yield_advert: true,
        checksum_sent: ChecksumForm::PseudoHeader,
        checksum_accepted: ChecksumRule::Only(ChecksumForm::PseudoHeader),
        check_unicast_source: false,
        first_address: FirstAddressRule::Warn,
        accept: true,
        na_burst: NaBurst::BackToBack,
        arp_target: ArpTarget::Broadcast,
        resign_reorder: true,
    };
    assert_eq!((DROP_IN, Rules::default()), (expected, expected));
}

#[test]
fn a_status_tells_who_was_heard_last_and_when() {
    let mut driver = Driver::new(v2());
    let last = |driver: &Driver| {
        driver.engine.status().instances().next().expect("an instance").last_heard()
    };
    assert_eq!(last(&driver), None);
    driver.run_for(nanos(1_000_000_000));
    driver.hear("10.0.0.1", 200);
    let heard_at = Timestamp::from_nanos(1_000_000_000);
    driver.run_for(nanos(500_000_000));
    assert_eq!(last(&driver), Some((ip("10.0.0.1"), 200, heard_at)));
}
