//! Virtual-MAC mode: by which MAC adverts and announcements leave (RFC 9568 section 7.3), and that
//! every effect has an id of its own.

mod driver;

use std::collections::BTreeSet;

use driver::{Driver, OWN_MAC, v2};
use vipd_engine::config::VirtualMac;
use vipd_engine::{
    Frame, Ifindex, Input, InstanceConfig, InterfaceName, Link, LinkState, MacAddress, Output,
    Timestamp,
};

const VIRTUAL: MacAddress = MacAddress([0, 0, 0x5e, 0, 1, 51]);
const ETH0: Ifindex = driver::ETH0;
const MACVLAN: Ifindex = Ifindex(7);
const LATER: Timestamp = Timestamp::from_nanos(10_000_000_000);

fn master(transmit_from_parent: bool) -> Driver {
    let interface = InterfaceName::new("vrrp.51");
    let virtual_mac = Some(VirtualMac { interface: interface.clone(), transmit_from_parent });
    let mut driver = Driver::new(InstanceConfig { virtual_mac, ..v2() });
    let link = Link { interface: MACVLAN, name: interface, mac: VIRTUAL, state: LinkState::Up };
    driver.handle(Input::Link(link));
    driver.run_until(LATER);
    driver
}

/// Interface and MAC of the adverts, and of the announcements.
fn leave_by(driver: &Driver) -> [BTreeSet<(Ifindex, MacAddress)>; 2] {
    let mut by = [BTreeSet::new(), BTreeSet::new()];
    for (_, frame) in driver.frames() {
        match frame {
            Frame::Advert(advert) => by[0].insert((advert.interface, advert.mac)),
            Frame::GratuitousArp(sent) | Frame::UnsolicitedNa(sent) => {
                by[1].insert((sent.interface, sent.mac))
            }
        };
    }
    by
}

#[test]
fn adverts_and_announcements_leave_from_the_virtual_mac() {
    let by = [BTreeSet::from([(ETH0, VIRTUAL)]), BTreeSet::from([(ETH0, VIRTUAL)])];
    assert_eq!(leave_by(&master(false)), by);
}

/// `vmac_xmit_base`
#[test]
fn adverts_that_are_to_leave_from_the_parent_do_and_announcements_from_the_macvlan() {
    let by = [BTreeSet::from([(ETH0, OWN_MAC)]), BTreeSet::from([(MACVLAN, VIRTUAL)])];
    assert_eq!(leave_by(&master(true)), by);
}

#[test]
fn every_effect_has_an_id_of_its_own() {
    let driver = master(false);
    let ids = driver.log.iter().filter_map(|(_, output)| match output {
        Output::Send { id, .. } | Output::Kernel { id, .. } => Some(*id),
        Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_) => None,
    });
    let ids: Vec<_> = ids.collect();
    assert!(ids.len() > 15, "adverts, announcements and commands");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}
