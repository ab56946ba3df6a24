//! The nearest faces of a linear region.

use heapless::Vec;

/// A hyperplane that bounds the linear region of a point, or the decision within it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// The layer whose neuron changes its side there; the model's depth for a decision boundary.
    pub layer: usize,
    /// The neuron, or the row of the specification. The row after the last margin is the class's
    /// own output, for a network that ends in a ReLU.
    pub row: usize,
    /// Lower bound of the distance, in the query's norm.
    pub distance: f32,
}

/// Up to K faces, the nearest first.
#[derive(Clone, Debug, Default)]
pub struct Nearest<const K: usize>(Vec<Face, K>);

impl<const K: usize> Nearest<K> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// The nearest, if there is any.
    pub fn first(&self) -> Option<&Face> {
        self.0.first()
    }

    /// All of them.
    pub fn as_slice(&self) -> &[Face] {
        &self.0
    }

    /// Faces at this distance or beyond find no place any more.
    pub(super) fn limit(&self) -> f32 {
        match self.0.last() {
            Some(last) if self.0.is_full() => last.distance,
            _ => f32::INFINITY,
        }
    }

    /// Takes a face in where it belongs; says whether it is the nearest.
    pub(super) fn insert(&mut self, face: Face) -> bool {
        let at = self.0.iter().position(|other| face.distance < other.distance);
        let at = at.unwrap_or(self.0.len());
        if self.0.is_full() {
            if at >= K {
                return false;
            }
            self.0.pop();
        }
        if self.0.push(face).is_err() {
            return false;
        }
        // `insert` would do, but for a panic that no optimisation for size sees through.
        let mut moved = face;
        for slot in self.0.iter_mut().skip(at) {
            core::mem::swap(slot, &mut moved);
        }
        at == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_nearest_in_order() {
        let mut nearest = Nearest::<3>::new();
        assert_eq!(nearest.limit(), f32::INFINITY);
        let mut first = [false; 5];
        for (row, distance) in [4.0, 2.0, 9.0, 1.0, 3.0].into_iter().enumerate() {
            first[row] = nearest.insert(Face { layer: 0, row, distance });
        }
        assert_eq!(first, [true, true, false, true, false]);
        assert!(nearest.as_slice().iter().map(|face| face.row).eq([3, 1, 4]));
        assert_eq!(nearest.limit(), 3.0);
    }
}
