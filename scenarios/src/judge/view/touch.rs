//! What a change touches: which virtual routers, and who of their members hears whom after it.

use super::View;
use crate::judge::change::{Change, What};
use crate::record::{HostId, Seen, WorldTime};

impl View {
    /// Notes the virtual routers that may feel this change.
    pub(super) fn touch(&mut self, change: &Change) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.clear();
        match &change.what {
            What::Joined { place, .. }
            | What::Left(place)
            | What::MasterStarts { place, .. }
            | What::MasterEnds(place, _)
            | What::Advertises { place, .. }
            | What::InForce(place, _)
            | What::InForceOrOwn(place, _)
            | What::State { place, .. }
            | What::News(place, _)
            | What::LastAdvert(place, _)
            | What::HoldEnds(place) => touched.push(place.router),
            What::Heard { pair, .. } | What::Lost { pair, .. } => touched.push(pair.router),
            What::Disagreement { .. }
            | What::HeardInMaster(_)
            | What::Gap { .. }
            | What::Overtaken(_)
            | What::Foreign { .. } => {}
            What::Injected(advert, _) => {
                let same = |router: &usize| self.routers[*router].key == advert.router;
                touched.extend((0..self.routers.len()).filter(same));
            }
            What::Seen(Seen::Owns { segment, address, .. }) => {
                touched.extend(self.routers_of((*segment, *address)));
            }
            what if what.touches_all() => touched.extend(0..self.routers.len()),
            What::Seen(_) => {}
        }
        self.touched = touched;
        self.moved.clone_from(&self.touched);
        if self.grouped {
            self.touch_groups(change.at);
        }
    }

    /// What disturbs one disturbs those that move with it.
    fn touch_groups(&mut self, now: WorldTime) {
        let mut touched = std::mem::take(&mut self.touched);
        for place in 0..touched.len() {
            let router = touched[place];
            if self.routers.get(router).is_some_and(|one| one.disturbed_at == now) {
                touched.extend_from_slice(self.joined_to(router));
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let mut moved = std::mem::take(&mut self.moved);
        moved.clone_from(&touched);
        for router in &touched {
            moved.extend_from_slice(self.joined_to(*router));
        }
        moved.sort_unstable();
        moved.dedup();
        (self.touched, self.moved) = (touched, moved);
    }

    /// The change touches no virtual router.
    pub(super) fn touch_nothing(&mut self) {
        self.touched.clear();
        self.moved.clear();
        self.rearranged.clear();
    }

    /// Notes the virtual routers that this change may have rearranged. What several properties ask
    /// for is worked out once, here.
    pub(super) fn rearrange(&mut self, change: &Change) {
        self.rearranged.clear();
        if !change.what.rearranges() {
            return;
        }
        for place in 0..self.touched.len() {
            let router = self.touched[place];
            if self.is_elsewhere(change, router) {
                continue;
            }
            self.rearranged.push(router);
            self.routers[router].dual = self.is_dual(router);
            if change.what.connects() {
                self.routers[router].connections = self.connections(router);
            }
        }
    }

    /// It is a path that does not join two members.
    fn is_elsewhere(&self, change: &Change, router: usize) -> bool {
        let What::Seen(Seen::Path { to, .. }) = &change.what else { return false };
        let is_member =
            |end: &HostId| self.routers[router].members.iter().any(|one| one.host == *end);
        ![change.host, *to].iter().all(is_member)
    }

    /// Whether several members are master, or several hosts own the same address, anywhere on the
    /// segment: one that has it in another virtual router is an owner like any other.
    fn is_dual(&self, router: usize) -> bool {
        let masters = self.places(router).filter(|place| self.member(*place).master.is_some());
        let owners = |address: &_| self.owners.of(*address).len();
        let mut addresses = self.routers[router].addresses();
        masters.count() > 1 || addresses.any(|address| owners(address) > 1)
    }
}
