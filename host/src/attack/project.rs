//! Projections: onto a ball cut by a box, and from a point onto a half-space within a box.
//!
//! Everything is told as ways from a base point; `rooms` are the ways that each coordinate has down
//! and up before it meets the box, infinite where there is none.

use certus_engine::region::{Exponent, Norm};

/// What l1 and l2 projections stay below the radius by, for their own rounding.
const SLACK: f64 = 1e-12;

/// The same for a general p: what its length may be overestimated by, at most and a coordinate.
const SLACK_GENERAL: [f64; 2] = [1e-11, 1e-15];

/// `||way||`.
pub fn length(way: &[f64], norm: Norm) -> f64 {
    match norm {
        Norm::L1 => way.iter().map(|w| w.abs()).sum(),
        Norm::L2 => way.iter().map(|w| w * w).sum::<f64>().sqrt(),
        Norm::Linf => largest(way),
        Norm::Lp(p) => {
            let (p, scale) = (f64::from(p.get()), largest(way));
            if scale == 0.0 || scale.is_infinite() {
                return scale;
            }
            scale * way.iter().map(|w| (w.abs() / scale).powf(p)).sum::<f64>().powf(1.0 / p)
        }
    }
}

fn largest(way: &[f64]) -> f64 {
    way.iter().fold(0.0, |most, w| w.abs().max(most))
}

/// `|g| -> (|g| / max |g_i|)^(q - 1)`, q dual to p: in proportion to this, with the sign of each
/// `g_i`, coordinates move along the steepest direction in lp.
pub fn rise(gradient: &[f32], p: Exponent) -> impl Fn(f64) -> f64 {
    let largest = f64::from(gradient.iter().fold(0.0f32, |most, g| g.abs().max(most)));
    let exponent = 1.0 / (f64::from(p.get()) - 1.0);
    move |g| if g == 0.0 { 0.0 } else { (g / largest).powf(exponent) }
}

/// The room of a coordinate in the direction that `sign` has.
fn room(rooms: &[f64; 2], sign: f64) -> f64 {
    rooms[usize::from(sign > 0.0)]
}

/// Replaces `way` by the nearest (l2) way of `norm` at most `radius` that stays in the box; in a
/// general lp by one that is not the nearest: cut to the box, then shortened.
///
/// The box and the ball are around the base, so the minimiser of `||x - way||_2` has, by its KKT
/// conditions, `|x_i| = min(|way_i|, radius, room)` for linf, `min(s |way_i|, room)` for l2 and
/// `min(max(|way_i| - t, 0), room)` for l1, with one `s` or `t` for all.
pub fn project(way: &mut [f64], rooms: &[[f64; 2]], norm: Norm, radius: f64) {
    let radius = match norm {
        Norm::Linf => radius,
        Norm::L1 | Norm::L2 => radius * (1.0 - SLACK),
        Norm::Lp(_) => return shorten(way, rooms, norm, radius),
    };
    let (scale, cut) = match norm {
        Norm::Linf => (1.0, 0.0),
        Norm::L2 => (shrink_l2(way, rooms, radius), 0.0),
        Norm::L1 => (1.0, cut_l1(way, rooms, radius)),
        Norm::Lp(_) => (1.0, 0.0),
    };
    let most = if norm == Norm::Linf { radius } else { f64::INFINITY };
    for (way, rooms) in way.iter_mut().zip(rooms) {
        let size = (way.abs() * scale - cut).max(0.0).min(room(rooms, *way)).min(most);
        *way = size.copysign(*way);
    }
}

/// Cuts `way` to the box, then shortens it to `radius`.
fn shorten(way: &mut [f64], rooms: &[[f64; 2]], norm: Norm, radius: f64) {
    for (way, rooms) in way.iter_mut().zip(rooms) {
        *way = way.abs().min(room(rooms, *way)).copysign(*way);
    }
    let [whole, each] = SLACK_GENERAL;
    let scale = radius * (1.0 - whole - each * way.len() as f64).max(0.0) / length(way, norm);
    if scale < 1.0 {
        way.iter_mut().for_each(|way| *way *= scale);
    }
}

/// The `s <= 1` with `sum min(s |way_i|, room_i)^2 = radius^2`, 1 if that sum is smaller.
///
/// Rising from the `s` that ignores the box: each round fixes the coordinates that meet it, and no
/// coordinate leaves it again, so there are no more rounds than coordinates.
fn shrink_l2(way: &[f64], rooms: &[[f64; 2]], radius: f64) -> f64 {
    if !radius.is_finite() {
        return 1.0;
    }
    let mut scale = 0.0;
    loop {
        let (mut stopped, mut free) = (0.0, 0.0);
        for (way, rooms) in way.iter().zip(rooms) {
            let room = room(rooms, *way);
            if way.abs() * scale > room {
                stopped += room * room;
            } else {
                free += way * way;
            }
        }
        let next = ((radius * radius - stopped).max(0.0) / free).sqrt();
        if !(next < 1.0) {
            return 1.0;
        }
        if next <= scale {
            return next;
        }
        scale = next;
    }
}

/// The `t >= 0` with `sum min(max(|way_i| - t, 0), room_i) = radius`, 0 if that sum is smaller.
///
/// The sum is piecewise linear in `t` and breaks at `|way_i|` and `|way_i| - room_i`: these are
/// sorted and walked from above.
fn cut_l1(way: &[f64], rooms: &[[f64; 2]], radius: f64) -> f64 {
    let inside = |(way, rooms): (&f64, &[f64; 2])| way.abs().min(room(rooms, *way));
    if way.iter().zip(rooms).map(inside).sum::<f64>() <= radius {
        return 0.0;
    }
    let mut breaks = Vec::with_capacity(2 * way.len());
    for (way, rooms) in way.iter().zip(rooms) {
        let size = way.abs();
        breaks.push((size, 1.0));
        breaks.push((size - room(rooms, *way), -1.0));
    }
    breaks.retain(|(at, _)| *at > 0.0);
    breaks.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    breaks.push((0.0, 0.0));
    let (mut sum, mut slope, mut last) = (0.0, 0.0, f64::INFINITY);
    for (at, change) in breaks {
        if slope > 0.0 {
            let next = sum + slope * (last - at);
            if next >= radius {
                return last - (radius - sum) / slope;
            }
            sum = next;
        }
        (slope, last) = (slope + change, at);
    }
    0.0
}

/// The way of least norm with `gradient . way >= need`, within the rooms; `None` if there is none.
///
/// `|way_i|` is `min(t, room)` for linf, `min(t |g_i|, room)` for l2, `min(t |g_i|^(q-1), room)` for
/// another p, q dual to it, and for l1 the rooms of the coordinates with the largest `|g_i|` are
/// used up one after the other (KKT conditions).
pub fn onto(gradient: &[f32], need: f64, rooms: &[[f64; 2]], norm: Norm) -> Option<Vec<f64>> {
    if !(need > 0.0) {
        return (need <= 0.0).then(|| vec![0.0; gradient.len()]);
    }
    let size = match norm {
        Norm::L1 => sizes_l1(gradient, need, rooms)?,
        Norm::L2 => sizes(gradient, need, rooms, |g| g)?,
        Norm::Linf => sizes(gradient, need, rooms, |_| 1.0)?,
        Norm::Lp(p) => sizes(gradient, need, rooms, rise(gradient, p))?,
    };
    let signed =
        |(size, g): (f64, &f32)| if *g == 0.0 { 0.0 } else { size.copysign(f64::from(*g)) };
    Some(size.into_iter().zip(gradient).map(signed).collect())
}

/// `min(t * shape(|g_i|), room_i)` with the `t` that gives `sum |g_i| size_i = need`.
fn sizes(
    gradient: &[f32],
    need: f64,
    rooms: &[[f64; 2]],
    shape: impl Fn(f64) -> f64,
) -> Option<Vec<f64>> {
    let terms = || {
        gradient.iter().zip(rooms).map(|(g, rooms)| {
            let g = f64::from(*g);
            (g.abs(), shape(g.abs()), room(rooms, g))
        })
    };
    let mut t = 0.0;
    loop {
        let (mut stopped, mut free) = (0.0, 0.0);
        for (g, shape, room) in terms().filter(|(g, ..)| *g > 0.0) {
            if t * shape > room {
                stopped += g * room;
            } else {
                free += g * shape;
            }
        }
        let next = (need - stopped) / free;
        if !next.is_finite() || !(next >= 0.0) {
            return None;
        }
        if next <= t {
            return Some(terms().map(|(_, shape, room)| (next * shape).min(room)).collect());
        }
        t = next;
    }
}

fn sizes_l1(gradient: &[f32], need: f64, rooms: &[[f64; 2]]) -> Option<Vec<f64>> {
    let mut order: Vec<usize> = (0..gradient.len()).filter(|i| gradient[*i] != 0.0).collect();
    order.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()));
    let mut left = need;
    let mut sizes = vec![0.0; gradient.len()];
    for i in order {
        let g = f64::from(gradient[i]);
        let most = room(&rooms[i], g);
        let size = (left / g.abs()).min(most);
        if !size.is_finite() {
            return None;
        }
        sizes[i] = size;
        left -= size * g.abs();
        if size < most {
            return Some(sizes);
        }
    }
    (left <= 0.0).then_some(sizes)
}

#[cfg(test)]
mod tests;
