//! What is kept of few things that are numbered: an array, since every property looks at it at
//! every change.

/// By number; what was never put has nothing.
#[derive(Debug)]
pub(super) struct Places<T>(Vec<Option<T>>);

impl<T> Places<T> {
    pub(super) fn put(&mut self, place: usize, item: T) {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(item);
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place)?.as_ref()
    }
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
