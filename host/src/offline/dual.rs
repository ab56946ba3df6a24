//! Dual ascent: the dual of the margins' linear program, climbed rather than solved.
//!
//! Strong duality holds for the layer-wise relaxation (paper 004, section 4): its value is the best of
//! the bounds that the slopes of unstable neurons' lower lines give, which is what gradient steps on
//! those slopes search for, any time valid. So the ascent is alpha-CROWN's ([`crate::alpha`]) from
//! CROWN's pre-activation bounds, each margin with slopes of its own, for more steps than a fast method
//! takes; it comes within a per cent of what the program gains over CROWN in a fraction of its time.
//! A GPU climbs for batches.

use crate::alpha::Settings;

/// The steps.
pub fn settings() -> Settings {
    Settings { iterations: 50, inside: false, ..Settings::default() }
}
