//! One element of a value: an affine function of what the last layer gives.

use crate::import::exact::Approx;

/// `scale` times output `source` of the last layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub source: usize,
    pub scale: Approx,
}

/// By increasing source, each at most once. Most elements have one term, which takes no heap.
#[derive(Clone, Debug)]
enum Terms {
    None,
    One(Term),
    Many(Vec<Term>),
}

/// The sum of its terms, plus `shift`.
#[derive(Clone, Debug)]
pub(super) struct Element {
    terms: Terms,
    pub shift: Approx,
}

impl Element {
    /// Output `source` itself.
    pub fn plain(source: usize) -> Self {
        Element { terms: Terms::One(Term { source, scale: Approx::ONE }), shift: Approx::ZERO }
    }

    pub fn constant(value: f64) -> Self {
        Element { terms: Terms::None, shift: Approx::exact(value) }
    }

    /// Of terms with distinct sources, in any order.
    pub fn of(mut terms: Vec<Term>, shift: Approx) -> Self {
        let terms = match terms.as_slice() {
            [] => Terms::None,
            [one] => Terms::One(*one),
            _ => {
                terms.sort_unstable_by_key(|term| term.source);
                Terms::Many(terms)
            }
        };
        Element { terms, shift }
    }

    pub fn terms(&self) -> &[Term] {
        match &self.terms {
            Terms::None => &[],
            Terms::One(term) => std::slice::from_ref(term),
            Terms::Many(terms) => terms,
        }
    }

    /// How much it counts among the elements that are kept.
    pub fn size(&self) -> usize {
        self.terms().len().max(1)
    }

    /// The output that it is, unchanged.
    pub fn plain_source(&self) -> Option<usize> {
        match &self.terms {
            Terms::One(term) if term.scale.is(1.0) && self.shift.is(0.0) => Some(term.source),
            _ => None,
        }
    }

    pub fn is_plain(&self) -> bool {
        self.plain_source().is_some()
    }

    /// Becomes `scale * self + shift`.
    pub fn scale_and_shift(&mut self, scale: Approx, shift: Approx) {
        let terms = match &mut self.terms {
            Terms::None => &mut [],
            Terms::One(term) => std::slice::from_mut(term),
            Terms::Many(terms) => terms.as_mut_slice(),
        };
        for term in terms {
            term.scale = scale.mul(term.scale);
        }
        self.shift = scale.mul(self.shift).add(shift);
    }

    /// `self + sign * other`.
    pub fn plus(&self, sign: Approx, other: &Self) -> Self {
        let (mut left, mut right) =
            (self.terms().iter().peekable(), other.terms().iter().peekable());
        let mut terms = Vec::with_capacity(self.terms().len() + other.terms().len());
        loop {
            let (a, b) = (left.peek().copied(), right.peek().copied());
            let signed = |b: &Term| Term { source: b.source, scale: sign.mul(b.scale) };
            let term = match (a, b) {
                (None, None) => break,
                (Some(a), Some(b)) if a.source == b.source => {
                    Term { source: a.source, scale: a.scale.add(signed(b).scale) }
                }
                (Some(a), Some(b)) if a.source > b.source => signed(b),
                (Some(a), _) => *a,
                (None, Some(b)) => signed(b),
            };
            left.next_if(|a| a.source == term.source);
            right.next_if(|b| b.source == term.source);
            terms.push(term);
        }
        Element::of(terms, self.shift.add(sign.mul(other.shift)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(element: &Element) -> Vec<(usize, f64)> {
        element.terms().iter().map(|term| (term.source, term.scale.value)).collect()
    }

    #[test]
    fn sums_merge_by_source() {
        let sum = Element::plain(3).plus(Approx::ONE, &Element::plain(1));
        assert_eq!(shown(&sum), [(1, 1.0), (3, 1.0)]);
        let mut other = Element::plain(1);
        other.scale_and_shift(Approx::exact(2.0), Approx::exact(5.0));
        let less = sum.plus(Approx::exact(-1.0), &other);
        assert_eq!(shown(&less), [(1, -1.0), (3, 1.0)]);
        assert!(less.shift.is(-5.0));
        let more = less.plus(Approx::ONE, &Element::constant(5.0));
        assert_eq!(shown(&more), [(1, -1.0), (3, 1.0)]);
        assert!(more.shift.is(0.0) && !more.is_plain());
    }

    #[test]
    fn only_an_output_itself_is_plain() {
        assert_eq!(Element::plain(7).plain_source(), Some(7));
        let mut scaled = Element::plain(7);
        scaled.scale_and_shift(Approx::exact(2.0), Approx::ZERO);
        assert!(!scaled.is_plain() && !Element::constant(0.0).is_plain());
    }
}
