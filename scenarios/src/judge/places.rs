//! What is kept of few things that are numbered: an array, since every property looks at it at
//! every change.

/// By number; what was never put has nothing.
#[derive(Debug)]
pub(super) struct Places<T>(Vec<Option<T>>);

impl<T> Places<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn put(&mut self, place: usize, item: T) {
        *self.slot(place) = Some(item);
    }

    /// What is there, or else is put there now.
    pub(super) fn or_put(&mut self, place: usize, item: impl FnOnce() -> T) -> &mut T {
        self.slot(place).get_or_insert_with(item)
    }

    fn slot(&mut self, place: usize) -> &mut Option<T> {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        &mut self.0[place]
    }

    pub(super) fn take(&mut self, place: usize) -> Option<T> {
        self.0.get_mut(place)?.take()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.0.get_mut(place)?.as_mut()
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place)?.as_ref()
    }

    /// All that is there, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (usize, T)> + use<T> {
        let all = std::mem::take(&mut self.0).into_iter().enumerate();
        all.filter_map(|(place, item)| Some((place, item?)))
    }
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self::new()
    }
}
