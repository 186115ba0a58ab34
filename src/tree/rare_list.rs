//! Lists that are nearly always empty.

use std::ops::Deref;

/// A list that takes one word while it is empty, as nearly all lists of extents and attributes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RareList<T>(Option<Box<Items<T>>>);

/// Never empty, so that equal lists are stored in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Items<T>(Box<[T]>);

impl<T> Default for RareList<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<Box<[T]>> for RareList<T> {
    fn from(items: Box<[T]>) -> Self {
        Self((!items.is_empty()).then(|| Box::new(Items(items))))
    }
}

impl<T> From<Vec<T>> for RareList<T> {
    fn from(items: Vec<T>) -> Self {
        Self::from(items.into_boxed_slice())
    }
}

impl<T> Deref for RareList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |items| &items.0)
    }
}
