//! Frames on their way: an arena whose places, and their memory, are used again.

use vipd_scenarios::record::{HostId, SeenAdvert};

/// Place of a frame in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// A frame that was sent and has not arrived everywhere yet.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    /// Its octets.
    pub bytes: Vec<u8>,
    /// What it advertised when it was sent.
    pub advert: Option<SeenAdvert>,
    /// Who sent it; `None` for somebody who is no host.
    pub sender: Option<HostId>,
    /// A bit was flipped on the way.
    pub corrupted: bool,
    /// Arrivals that are still to come.
    awaited: u32,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Packets {
    slots: Vec<InFlight>,
    free: Vec<Slot>,
}

impl Packets {
    /// A place whose octets are empty. It is given back by the last [`Self::release`].
    pub fn take(&mut self) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(InFlight::default());
            Slot(self.slots.len() as u32 - 1)
        });
        let packet = &mut self.slots[slot.0 as usize];
        packet.bytes.clear();
        (packet.advert, packet.sender, packet.corrupted, packet.awaited) = (None, None, false, 1);
        slot
    }

    /// One more will release the place.
    pub fn retain(&mut self, slot: Slot) {
        self.slots[slot.0 as usize].awaited += 1;
    }

    /// One of those who retain the place does so no longer.
    pub fn release(&mut self, slot: Slot) {
        let packet = &mut self.slots[slot.0 as usize];
        packet.awaited -= 1;
        if packet.awaited == 0 {
            self.free.push(slot);
        }
    }

    /// A copy with one bit flipped.
    pub fn corrupt(&mut self, slot: Slot, bit: usize) -> Slot {
        let copy = self.take();
        let original = self.slots[slot.0 as usize].clone();
        let packet = &mut self.slots[copy.0 as usize];
        *packet = InFlight { corrupted: true, awaited: 1, ..original };
        if let Some(octet) = packet.bytes.get_mut(bit / 8) {
            *octet ^= 1 << (bit % 8);
        }
        copy
    }

    /// The frame at a place.
    #[must_use]
    pub fn get(&self, slot: Slot) -> &InFlight {
        &self.slots[slot.0 as usize]
    }

    /// The frame at a place, to be filled.
    pub fn get_mut(&mut self, slot: Slot) -> &mut InFlight {
        &mut self.slots[slot.0 as usize]
    }

    /// Frames that somebody still waits for.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_after_its_last_release_and_not_before() {
        let mut packets = Packets::default();
        let first = packets.take();
        packets.retain(first);
        packets.release(first);
        assert_ne!(packets.take(), first);
        packets.release(first);
        assert_eq!(packets.take(), first);
        assert_eq!(packets.in_flight(), 2);
    }

    #[test]
    fn a_corrupted_copy_differs_in_one_bit_and_leaves_the_original() {
        let mut packets = Packets::default();
        let original = packets.take();
        packets.get_mut(original).bytes.extend_from_slice(&[0, 0, 0]);
        let copy = packets.corrupt(original, 9);
        assert_eq!(packets.get(copy).bytes, [0, 2, 0]);
        assert!(packets.get(copy).corrupted && !packets.get(original).corrupted);
        assert_eq!(packets.get(original).bytes, [0, 0, 0]);
    }
}
