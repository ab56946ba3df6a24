//! Maxima over windows: along one axis after the other, and along it in rounds of pairs.
//!
//! A window is the product of its taps along each axis, so its maximum is that along the last axis,
//! then along the one before. `n` candidates take `log2 n` rounds, each a layer of differences
//! ([`Chain::maxima`]); windows that overlap share the pairs that they have in common. A layer of a
//! round has a row for each maximum and each candidate that is carried along, dense like any other:
//! [`Limits`](crate::import::Limits) bounds it.

use std::collections::HashMap;

use super::call::{Call, Value};
use super::conv::{Edge, Window, kernel_shape};
use super::tensor::count;
use crate::import::chain::{Chain, Checked, Pick};

/// The attributes of MaxPool.
pub(super) const ATTRIBUTES: &[&str] =
    &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"];

/// Windows may have this many times the elements of the largest tensor as candidates together.
const CANDIDATES: usize = 4;

/// Padding never is the largest: it is left out.
pub(super) fn max_pool(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    if call.int("storage_order", 0)? != 0 {
        return Err("attribute 'storage_order' is not 0: not supported".into());
    }
    let &[_, _, ref spatial @ ..] = shape else {
        return Err(format!(
            "a value of shape {shape:?}; expected a batch, channels and spatial axes"
        ));
    };
    let kernel = kernel_shape(call, None)?;
    if kernel.len() != spatial.len() || spatial.is_empty() {
        return Err(format!("a kernel of shape {kernel:?} for a value of shape {shape:?}"));
    }
    let same = call.text("auto_pad", "NOTSET")?.starts_with("SAME");
    if same && call.ints("dilations")?.is_some_and(|dilations| dilations.iter().any(|&d| d != 1)) {
        // Runtimes disagree on the number of windows.
        return Err("dilations with an auto_pad of SAME: not supported".into());
    }
    let edge = if call.flag("ceil_mode")? { Edge::HangsOver } else { Edge::Within };
    let most = chain.limits().elements;
    let window = Window::new(call, spatial, &kernel, edge, most)?;
    let mut out = shape.to_vec();
    for a in (0..spatial.len()).rev() {
        let (positions, taps) = window.size(a);
        if positions > most {
            return Err(format!("{positions} windows along an axis; at most {most} are read"));
        }
        chain.charge((positions as u64).saturating_mul(taps as u64))?;
        let along: Vec<Vec<usize>> = (0..positions).map(|o| window.along(a, o)).collect();
        if along.iter().any(Vec::is_empty) {
            return Err("a window that lies on padding alone".into());
        }
        maxima(chain, &mut out, a + 2, &along)?;
    }
    Ok(Value::Signal(out))
}

pub(super) fn global_max_pool(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let mut out = call.signal(0)?.to_vec();
    if out.len() < 3 {
        return Err(format!(
            "a value of shape {out:?}; expected a batch, channels and spatial axes"
        ));
    }
    for a in (2..out.len()).rev() {
        let all = (0..out.get(a).copied().unwrap_or(0)).collect();
        maxima(chain, &mut out, a, &[all])?;
    }
    Ok(Value::Signal(out))
}

/// Replaces axis `a` of the value of shape `shape`: position `i` becomes the largest of the
/// positions `along[i]`.
fn maxima(chain: &mut Chain, shape: &mut [usize], a: usize, along: &[Vec<usize>]) -> Checked<()> {
    let most = chain.limits().elements;
    let size = shape.get(a).copied().unwrap_or(0);
    let (outer, inner) = (shape.get(..a), shape.get(a + 1..));
    let (outer, inner) = (outer.and_then(count).unwrap_or(0), inner.and_then(count).unwrap_or(0));
    let candidates = along.iter().map(Vec::len).fold(0, usize::saturating_add);
    let candidates = candidates.saturating_mul(outer).saturating_mul(inner);
    if candidates > most.saturating_mul(CANDIDATES) {
        return Err(format!(
            "windows of {candidates} elements together; at most {} are read",
            most.saturating_mul(CANDIDATES)
        ));
    }
    let mut groups = Vec::with_capacity(outer * along.len() * inner);
    for o in 0..outer {
        for taps in along {
            for i in 0..inner {
                groups.push(taps.iter().map(|t| (o * size + t) * inner + i).collect());
            }
        }
    }
    while groups.iter().any(|group: &Vec<usize>| group.len() > 1) {
        round(chain, &mut groups)?;
    }
    let picks: Vec<Pick> =
        groups.iter().filter_map(|group| group.first()).map(|&i| Pick::From(0, i)).collect();
    chain.pick(&picks)?;
    if let Some(dim) = shape.get_mut(a) {
        *dim = along.len();
    }
    Ok(())
}

/// Halves the candidates of each group, which are elements of the value.
fn round(chain: &mut Chain, groups: &mut [Vec<usize>]) -> Checked<()> {
    chain.charge(groups.iter().map(|group| group.len() as u64).sum())?;
    let (mut pairs, mut singles) = (Numbered::default(), Numbered::default());
    for group in groups.iter() {
        for candidates in group.chunks(2) {
            match *candidates {
                [a, b] => pairs.add((a, b)),
                [a] => singles.add(a),
                _ => {}
            }
        }
    }
    chain.maxima(&pairs.items, &singles.items)?;
    for group in groups {
        *group = group
            .chunks(2)
            .filter_map(|candidates| match *candidates {
                [a, b] => pairs.number(&(a, b)),
                [a] => singles.number(&a).map(|number| pairs.items.len() + number),
                _ => None,
            })
            .collect();
    }
    Ok(())
}

/// Items in the order in which they were first added.
#[derive(Default)]
struct Numbered<T> {
    items: Vec<T>,
    numbers: HashMap<T, usize>,
}

impl<T: Copy + Eq + std::hash::Hash> Numbered<T> {
    fn add(&mut self, item: T) {
        let items = &mut self.items;
        self.numbers.entry(item).or_insert_with(|| {
            items.push(item);
            items.len() - 1
        });
    }

    fn number(&self, item: &T) -> Option<usize> {
        self.numbers.get(item).copied()
    }
}
