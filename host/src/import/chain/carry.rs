//! Values that later nodes need, carried along by a new layer.
//!
//! A layer's outputs are all that the next one sees. What a waiting value takes from the outputs so
//! far becomes rows of the new layer, before its own rows, and these pass by its activation. A row
//! is an output itself, with weight 1, whatever scale and shift wait beside it; or a sum of outputs
//! whose scales are f32 (1 and -1, mostly): both exact. Values that take the same share a row.

use std::collections::{BTreeMap, HashMap};

use super::element::{Element, Term};
use crate::import::exact::Approx;

/// Values by their number.
pub(super) type Values = BTreeMap<usize, Vec<Element>>;

/// What a layer carries along.
#[derive(Default)]
pub(super) struct Carry {
    /// The sum of outputs that each row is: `(source, weight)`.
    pub rows: Vec<Vec<(usize, f32)>>,
    /// The values as functions of these rows.
    pub values: Values,
}

impl Carry {
    /// Of `values`, which are functions of `width` outputs.
    pub fn of(values: &Values, width: usize) -> Self {
        if values.is_empty() {
            return Carry::default();
        }
        let mut plan = Plan { rows: Vec::new(), single: vec![None; width], sums: HashMap::new() };
        let values = values
            .iter()
            .map(|(&number, value)| (number, value.iter().map(|e| plan.carry(e)).collect()))
            .collect();
        Carry { rows: plan.rows, values }
    }
}

struct Plan {
    rows: Vec<Vec<(usize, f32)>>,
    /// The row that is output `i`.
    single: Vec<Option<usize>>,
    /// The row that is a sum, by its sources and the bits of its weights.
    sums: HashMap<Vec<(usize, u32)>, usize>,
}

impl Plan {
    /// `element` as a function of the carried rows.
    fn carry(&mut self, element: &Element) -> Element {
        let terms = element.terms();
        if terms.len() > 1
            && let Some(sum) = weights(terms)
        {
            let key = sum.iter().map(|&(source, weight)| (source, weight.to_bits())).collect();
            let rows = &mut self.rows;
            let source = *self.sums.entry(key).or_insert_with(|| {
                rows.push(sum);
                rows.len() - 1
            });
            return Element::of(vec![Term { source, scale: Approx::ONE }], element.shift);
        }
        let terms = terms
            .iter()
            .map(|term| Term { source: self.output(term.source), scale: term.scale })
            .collect();
        Element::of(terms, element.shift)
    }

    /// The row that is output `source`.
    fn output(&mut self, source: usize) -> usize {
        let known = self.single.get(source).copied().flatten();
        known.unwrap_or_else(|| {
            self.rows.push(vec![(source, 1.0)]);
            if let Some(slot) = self.single.get_mut(source) {
                *slot = Some(self.rows.len() - 1);
            }
            self.rows.len() - 1
        })
    }
}

/// The scales as weights, if each is one exactly.
fn weights(terms: &[Term]) -> Option<Vec<(usize, f32)>> {
    terms
        .iter()
        .map(|term| match term.scale.to_weight() {
            Ok((weight, 0.0)) => Some((term.source, weight)),
            _ => None,
        })
        .collect()
}
