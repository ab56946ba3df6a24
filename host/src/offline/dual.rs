//! Dual ascent: the dual of the margins' linear program, climbed rather than solved.
//!
//! Strong duality holds for the layer-wise relaxation (paper 004, section 4): its value is the best of
//! the bounds that the slopes of unstable neurons' lower lines give, which is what gradient steps on
//! those slopes search for, any time valid. So the ascent is alpha-CROWN's ([`crate::alpha`]), from
//! CROWN's pre-activation bounds, each margin with slopes of its own, for more steps than a fast method
//! takes; it comes within a per cent of what the program gains over CROWN in a fraction of its time.
//! A GPU climbs for batches.

use certus_engine::bounds::{Error, Semantics, Work};

use crate::alpha::{self, Barrier, Settings};
use crate::cpu::Runner;
use crate::slopes::{Around, MarginRows};

/// The steps.
pub fn settings() -> Settings {
    Settings { iterations: 50, ..Settings::default() }
}

/// Raises lower bounds of the margins of `class` until all are above 0, from pre-activation bounds that
/// stay as they are; with [`Settings::give_up`], not where none can come above 0 from them.
///
/// What holds is what [`crate::slopes::margins`] says.
///
/// # Errors
/// The engine's. Memory and work: those of [`alpha::tighten`].
pub fn improve(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    class: usize,
    lower: &mut [f32],
    settings: &Settings,
) -> Result<Work, Error> {
    let model = *runner.model();
    let mut work = Work::default();
    let rows = MarginRows::new(&model, class).filter(|_| settings.give_up);
    let barrier = rows.and_then(|rows| Barrier::new(&model, around, ends, &rows.matrix));
    if let Some(mut barrier) = barrier {
        let barred = barrier.given();
        work.product_macs += barrier.macs();
        if barred {
            return Ok(work);
        }
    }
    work += alpha::margins(runner, around, semantics, ends, class, lower, 0.0, settings)?;
    Ok(work)
}
