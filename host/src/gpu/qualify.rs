//! Whether a device computes as bounds assume: measured before anything rests on it.

use std::fmt;

use certus_shaders::kernel::{PROBE_OPS, PROBE_SUMS};
use certus_shaders::layout::OPS;
use certus_shaders::{ETA, U};
use serde::{Deserialize, Serialize};

use super::device::{Argument, Device, Fault};
use super::probes::{self, Rows};

/// What the probes of a device that qualifies have measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Worst relative error of a sum or difference, flushing aside, in units of `2^-24`: 1 is rounding
    /// to nearest, 2 is either neighbour.
    pub add: f64,
    /// The same of a product.
    pub mul: f64,
    /// Whether subnormal numbers were flushed.
    pub flushes: bool,
    /// Worst error of a long sum as a share of what is allowed, in one loop.
    pub sum: f64,
    /// The same in blocks.
    pub blocks: f64,
    /// The same in blocks whose sums pass through their bits only.
    pub fences: f64,
}

/// Why a device is not believed.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// An operation is further off than either neighbour, flushing aside.
    Operation {
        /// Which.
        name: &'static str,
        /// Its arguments.
        of: [f32; 2],
        /// What the device made of them.
        found: f32,
    },
    /// A sum of products is further off than its terms' roundings.
    Sum {
        /// Terms.
        terms: u32,
        /// Terms of a block; all of them in one loop.
        block: u32,
        /// What the device made of them.
        found: f32,
        /// What they come to.
        expected: f64,
    },
    /// It could not be asked.
    Fault(Fault),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Operation { name, of: [a, b], found } => {
                write!(f, "{name} of {a:e} and {b:e} is {found:e}: off by more than a rounding")
            }
            Refusal::Sum { terms, block, found, expected } => write!(
                f,
                "a sum of {terms} products in blocks of {block} is {found:e}, expected {expected:e} \
                 but for the rounding of its terms"
            ),
            Refusal::Fault(fault) => fault.fmt(f),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal::Fault(fault)
    }
}

/// What runs the probes: a device, or in tests one that is wrong.
pub trait Asked {
    /// `probe_ops`: [`OPS`] words for each pair.
    ///
    /// # Errors
    /// [`Fault`].
    fn ops(&self, pairs: &[[u32; 2]]) -> Result<Vec<u32>, Fault>;

    /// `probe_sums`: for each row its sum in one loop, in blocks and in fenced blocks.
    ///
    /// # Errors
    /// [`Fault`].
    fn sums(&self, rows: &Rows) -> Result<Vec<[f32; 3]>, Fault>;
}

impl Asked for Device {
    fn ops(&self, pairs: &[[u32; 2]]) -> Result<Vec<u32>, Fault> {
        let arguments =
            [Argument::Input(bytemuck::cast_slice(pairs)), Argument::Output(OPS * pairs.len())];
        let groups = pairs.len().div_ceil(PROBE_OPS.workgroup as usize) as u32;
        Ok(self.run(&PROBE_OPS, &arguments, groups)?.concat())
    }

    fn sums(&self, rows: &Rows) -> Result<Vec<[f32; 3]>, Fault> {
        let arguments = [
            Argument::Uniform(bytemuck::bytes_of(&rows.what)),
            Argument::Input(bytemuck::cast_slice(&rows.a)),
            Argument::Input(bytemuck::cast_slice(&rows.b)),
            Argument::Output(3 * rows.what.rows as usize),
        ];
        let found = self.run(&PROBE_SUMS, &arguments, rows.what.rows)?.concat();
        Ok(bytemuck::cast_slice(&found).to_vec())
    }
}

/// Asks a device what its arithmetic does.
///
/// It qualifies if each `+ - *` gives a float within `2^-23` of the exact result, relatively, or the
/// same of arguments and results with subnormal numbers taken as 0; if minima, maxima and comparisons
/// are right up to that; if what overflows is no ordinary number; and if sums of n products are off by
/// at most `gamma(n) sum |a b|`, in blocks of B terms `gamma(B + n/B) sum |a b|`, u = `2^-23`
/// (`soundness.md` 2).
///
/// # Errors
/// [`Refusal`], the first found.
pub fn qualify(device: &impl Asked) -> Result<Measured, Refusal> {
    let mut measured = Measured::default();
    let ask = |pairs: &[[u32; 2]]| match device.ops(pairs)? {
        found if found.len() == OPS * pairs.len() => Ok(found),
        _ => Err(Refusal::from(Fault("the probe wrote too little".to_owned()))),
    };
    let pairs = probes::pairs();
    let found = ask(&pairs)?;
    for (pair, found) in pairs.iter().zip(found.chunks_exact(OPS)) {
        operations(pair.map(f32::from_bits), found, &mut measured)?;
    }
    let pairs = probes::beyond();
    for (pair, found) in pairs.iter().zip(ask(&pairs)?.chunks_exact(OPS)) {
        let of @ [a, b] = pair.map(f32::from_bits);
        let exact = [f64::from(a) + f64::from(b), f64::from(a) - f64::from(b)];
        let exact = [exact[0], exact[1], f64::from(a) * f64::from(b)];
        for ((name, exact), found) in ["a + b", "a - b", "a * b"].into_iter().zip(exact).zip(found)
        {
            let found = f32::from_bits(*found);
            if exact.abs() > f64::from(f32::MAX) && found.abs() < f32::MAX {
                return Err(Refusal::Operation { name, of, found });
            }
        }
    }
    for rows in probes::rows() {
        sums(&rows, &device.sums(&rows)?, &mut measured)?;
    }
    Ok(measured)
}

/// `x`, and 0 in its place where a device may flush it.
fn flushed(x: f64) -> [f64; 2] {
    [x, if x.abs() < ETA { 0.0 } else { x }]
}

/// What an operation makes of two numbers.
type Exact = fn(f64, f64) -> f64;

/// Checks what came of one pair.
fn operations(of: [f32; 2], found: &[u32], measured: &mut Measured) -> Result<(), Refusal> {
    let [a, b] = of.map(f64::from);
    let exact: [(&str, Exact, bool); 6] = [
        ("a + b", |a, b| a + b, false),
        ("a - b", |a, b| a - b, false),
        ("a * b", |a, b| a * b, true),
        ("min", f64::min, false),
        ("max", f64::max, false),
        ("abs", |a, _| a.abs(), false),
    ];
    for ((name, exact, product), bits) in exact.into_iter().zip(found) {
        let given = f32::from_bits(*bits);
        let off = |exact: f64| {
            if f64::from(given) == exact {
                0.0
            } else {
                (f64::from(given) - exact).abs() / exact.abs()
            }
        };
        // As it is, or with arguments or the result flushed.
        let plain = off(exact(a, b));
        let ways = flushed(a).into_iter().flat_map(|a| flushed(b).map(|b| exact(a, b)));
        let least = ways.flat_map(flushed).map(off).fold(f64::INFINITY, f64::min);
        // Results that are subnormal round to a multiple of the least of these.
        let grain = (f64::from(given) - exact(a, b)).abs() <= f64::from(f32::from_bits(1));
        let rounding = name.starts_with('a') && name != "abs";
        let allowed = if rounding { U * (1.0 + 1e-6) } else { 0.0 };
        let small = exact(a, b).abs() < ETA;
        if !(least <= allowed || small && grain) {
            return Err(Refusal::Operation { name, of, found: given });
        }
        if plain > allowed && !(small && grain) {
            measured.flushes = true;
        } else if rounding && !small {
            let worst = if product { &mut measured.mul } else { &mut measured.add };
            *worst = worst.max(least * f64::from(1u32 << 24));
        }
    }
    let flags = found.get(6).copied().unwrap_or(0);
    let apart = (a - b).abs() >= ETA && [a, b].iter().all(|x| flushed(*x)[1] == *x);
    let expected = u32::from(a < b) | u32::from(a > b) << 1;
    let wrong = if apart {
        flags & 3 != expected
    } else {
        // Flushed or not, nothing is both.
        flags & 3 == 3 || a == b && flags & 3 != 0
    };
    if wrong {
        return Err(Refusal::Operation { name: "a < b", of, found: flags as f32 });
    }
    let positive = flags & 4 != 0;
    if positive != (a > 0.0) && a.abs() >= ETA || positive && a <= 0.0 {
        return Err(Refusal::Operation { name: "a > 0", of, found: flags as f32 });
    }
    Ok(())
}

/// Checks the sums of some rows.
fn sums(rows: &Rows, found: &[[f32; 3]], measured: &mut Measured) -> Result<(), Refusal> {
    let n = rows.what.n;
    if found.len() != rows.what.rows as usize {
        return Err(Fault("the probe wrote too little".to_owned()).into());
    }
    let terms = rows.a.chunks_exact(n as usize).zip(rows.b.chunks_exact(n as usize));
    for ((a, b), found) in terms.zip(found) {
        let products = || a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        let expected: f64 = products().sum();
        let size: f64 = products().map(f64::abs).sum();
        let blocks = rows.what.block + n.div_ceil(rows.what.block);
        let depths = [n, blocks, blocks];
        let slots = [&mut measured.sum, &mut measured.blocks, &mut measured.fences];
        for (((depth, found), slot), block) in
            depths.into_iter().zip(found).zip(slots).zip([n, rows.what.block, rows.what.block])
        {
            let k = f64::from(depth) * U;
            let allowed = k / (1.0 - k) * size + f64::from(n) * 4.0 * ETA;
            let off = (f64::from(*found) - expected).abs();
            // Written so that a NaN is refused.
            if !(off <= allowed) {
                return Err(Refusal::Sum { terms: n, block, found: *found, expected });
            }
            *slot = slot.max(off / allowed);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use certus_shaders::twin;

    use super::*;

    /// What goes wrong with the results of a pair.
    type WrongOps = fn([u32; 2], &mut [u32; OPS]);
    /// What goes wrong with sums.
    type WrongSums = fn(&Rows, &mut [[f32; 3]]);

    /// The twin, with something wrong.
    struct Twin {
        ops: WrongOps,
        sums: WrongSums,
    }

    impl Asked for Twin {
        fn ops(&self, pairs: &[[u32; 2]]) -> Result<Vec<u32>, Fault> {
            let words = pairs.iter().flat_map(|pair| {
                let mut found = twin::ops(*pair);
                (self.ops)(*pair, &mut found);
                found
            });
            Ok(words.collect())
        }

        fn sums(&self, rows: &Rows) -> Result<Vec<[f32; 3]>, Fault> {
            let mut found = twin::sums(&rows.what, &rows.a, &rows.b);
            (self.sums)(rows, &mut found);
            Ok(found)
        }
    }

    const RIGHT: Twin = Twin { ops: |_, _| {}, sums: |_, _| {} };

    /// Adds `ulps` to the bits of result `i` where it is a normal number.
    fn nudge(found: &mut [u32; OPS], i: usize, ulps: i32) {
        if f32::from_bits(found[i]).is_normal() {
            found[i] = found[i].wrapping_add_signed(ulps);
        }
    }

    #[test]
    fn rounding_to_nearest_qualifies() {
        let measured = qualify(&RIGHT).unwrap();
        assert!(measured.add > 0.9 && measured.add <= 1.0, "{measured:?}");
        assert!(measured.mul > 0.9 && measured.mul <= 1.0, "{measured:?}");
        assert!(!measured.flushes && measured.sum < 1.0 && measured.fences < 1.0, "{measured:?}");
    }

    #[test]
    fn a_device_that_flushes_qualifies_and_is_known() {
        fn flush(bits: u32) -> u32 {
            if f32::from_bits(bits).is_subnormal() { bits & 0x8000_0000 } else { bits }
        }
        let twin = Twin {
            ops: |pair, found| {
                *found = twin::ops(pair.map(flush));
                found[..6].iter_mut().for_each(|bits| *bits = flush(*bits));
            },
            ..RIGHT
        };
        let measured = qualify(&twin).unwrap();
        assert!(measured.flushes);
        // It rounds to nearest all the same.
        assert!(measured.add <= 1.0 && measured.mul <= 1.0, "{measured:?}");
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let wrong: [(&str, WrongOps); 9] = [
            ("a + b", |_, found| nudge(found, 0, 2)),
            ("a - b", |_, found| nudge(found, 1, -2)),
            ("a * b", |_, found| nudge(found, 2, 2)),
            ("a * b", |_, found| found[2] ^= 0x8000_0000),
            ("min", |_, found| found.swap(3, 4)),
            ("max", |_, found| nudge(found, 4, 1)),
            ("abs", |[a, _], found| found[5] = a),
            ("a < b", |_, found| found[6] ^= 3),
            ("a > 0", |_, found| found[6] |= 4),
        ];
        for (expected, ops) in wrong {
            match qualify(&Twin { ops, ..RIGHT }) {
                Err(Refusal::Operation { name, .. }) => assert_eq!(name, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
        // What overflows turns up as a number.
        let ops = |_, found: &mut [u32; OPS]| {
            if !f32::from_bits(found[2]).is_finite() {
                found[2] = 1.0f32.to_bits();
            }
        };
        assert!(matches!(qualify(&Twin { ops, ..RIGHT }), Err(Refusal::Operation { .. })));
    }

    #[test]
    fn sums_that_lose_terms_are_refused() {
        let wrong: [WrongSums; 4] = [
            // The last term.
            |rows, found| {
                let n = rows.what.n as usize;
                for (r, found) in found.iter_mut().enumerate() {
                    found[0] -= rows.a[r * n + n - 1] * rows.b[r * n + n - 1];
                }
            },
            // A block of terms.
            |rows, found| {
                let (n, block) = (rows.what.n as usize, rows.what.block as usize);
                for (r, found) in found.iter_mut().enumerate() {
                    let terms = r * n..r * n + block;
                    let (a, b) = (&rows.a[terms.clone()], &rows.b[terms]);
                    found[1] -= a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                }
            },
            |_, found| found[0][1] = f32::NAN,
            // A compiler that takes terms across a fence.
            |_, found| found.iter_mut().for_each(|found| found[2] = found[0]),
        ];
        for sums in wrong {
            let found = qualify(&Twin { sums, ..RIGHT });
            assert!(matches!(found, Err(Refusal::Sum { .. })), "{found:?}");
        }
    }

    #[test]
    fn a_fault_is_a_refusal() {
        struct Gone;
        impl Asked for Gone {
            fn ops(&self, _: &[[u32; 2]]) -> Result<Vec<u32>, Fault> {
                Err(Fault("device lost: removed".to_owned()))
            }
            fn sums(&self, _: &Rows) -> Result<Vec<[f32; 3]>, Fault> {
                Ok(Vec::new())
            }
        }
        let refusal = qualify(&Gone).unwrap_err();
        assert_eq!(refusal.to_string(), "device lost: removed");
    }
}
