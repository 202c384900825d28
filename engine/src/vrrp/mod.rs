//! VRRP: the codec, the receive checks, the election, the announcements, one state machine.

pub mod advert;
pub mod checksum;
