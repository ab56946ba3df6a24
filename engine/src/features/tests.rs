//! What a build without features refuses, and that it bounds what is left as every build does: the
//! same numbers are expected of each.

extern crate std;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::bounds::tests::build;
use crate::bounds::{Error, Method, Options, Portable, Size, Workspace, lower_bounds};
use crate::model::{Activation, BlobError, Model, blob};
use crate::monitor::{Means, Monitor, Rule, SensorError, Setup, SetupError};
use crate::region::{Norm, Region, RegionError};
use crate::relax::{LowerSlope, apply_error, range, relax, relax_with};
use crate::spec::Spec;

/// 3-7-6-2, its weights multiples of 1/64 from a congruential generator.
fn net(activation: u32) -> Vec<u32> {
    let mut state = 1u32;
    let mut draw = |n: usize| -> Vec<f32> {
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 25) as f32 - 64.0) / 64.0
        };
        (0..n).map(next).collect()
    };
    let (a, b, c) = (draw(21), draw(42), draw(12));
    let (p, q, r) = (draw(7), draw(6), draw(2));
    build(&[(7, 3, activation, &a, &p), (6, 7, activation, &b, &q), (2, 6, blob::IDENTITY, &c, &r)])
}

/// Lower bounds of the outputs, then of their negatives.
fn bounds(words: &[u32], region: &Region<'_>, method: Method) -> Result<[f32; 4], Error> {
    let model = Model::from_words(words).unwrap();
    let size = Size::of(&model, method, 2);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
    let memory = Workspace { floats: &mut floats, indices: &mut indices };
    let mut out = [f32::NAN; 4];
    let (spec, options) = (Spec::Outputs, Options::new(method));
    lower_bounds(&mut Portable, &model, region, &spec, &options, memory, &mut out).map(|_| out)
}

const CENTER: [f32; 3] = [0.3, -0.2, 0.7];

#[test]
fn bounds_are_those_of_every_build() {
    let words = net(blob::RELU);
    let ball = Region::ball(&CENTER, 0.3, Norm::Linf);
    let cut = Region::ball_in_box(&CENTER, 0.3, Norm::Linf, &[-0.1; 3], &[0.9; 3]);
    let ends = Region::Box { lo: &[0.1, -0.4, 0.5], hi: &[0.4, 0.1, 0.9] };
    let mut found = Vec::new();
    for region in [ball, cut, ends] {
        for method in [Method::Ibp, Method::CrownIbp, Method::FastLin, Method::Crown] {
            found.push(bounds(&words, &region, method).unwrap().map(f32::to_bits));
        }
    }
    let digest = found.iter().flatten().fold(0u32, |sum, bits| sum.rotate_left(5) ^ bits);
    assert_eq!((found.len(), digest), (12, 0x8d75_b08e), "{digest:#x}");
}

#[test]
fn curved_models_are_refused_by_name() {
    for code in 0..=blob::GELU {
        let plain = matches!(code, blob::IDENTITY | blob::RELU | blob::LEAKY_RELU);
        // Those with parameters are refused for want of them.
        if matches!(code, blob::CLIP | blob::ELU) {
            continue;
        }
        let words = net(code);
        let expected = if CURVED || plain { Ok(()) } else { Err(BlobError::Feature("curved")) };
        assert_eq!(Model::from_words(&words).map(|_| ()), expected, "{code}");
    }
    assert!(BlobError::Feature("curved").to_string().contains("`curved`"));
}

#[test]
fn what_is_left_out_is_never_a_number() {
    for activation in [Activation::Abs, Activation::Clip(-1.0, 1.0), Activation::Tanh] {
        let lines = relax(activation, -1.0, 2.0, LowerSlope::Adaptive);
        let chosen = relax_with(activation, -1.0, 2.0, 0.5, 0.5);
        let all = [
            lines.icpt_lo,
            lines.icpt_up,
            chosen.icpt_lo,
            chosen.icpt_up,
            range(activation, -1.0, 2.0).0,
            range(activation, -1.0, 2.0).1,
            apply_error(activation, -1.0, 2.0),
            activation.apply(0.5),
        ];
        assert!(all.iter().all(|x| x.is_nan() != CURVED), "{activation:?} {all:?}");
    }
}

#[test]
fn other_balls_are_refused_by_name() {
    let words = net(blob::RELU);
    let model = Model::from_words(&words).unwrap();
    for norm in [Norm::L1, Norm::L2, Norm::new(3.0).unwrap(), Norm::Linf] {
        let left_out = !NORMS && norm != Norm::Linf;
        let refused = Error::Region(RegionError::Feature("norms"));
        let cut = Region::ball_in_box(&CENTER, 0.1, norm, &[-1.0; 3], &[1.0; 3]);
        for region in [Region::ball(&CENTER, 0.1, norm), cut] {
            let found = bounds(&words, &region, Method::Crown);
            assert_eq!(found.err(), left_out.then_some(refused), "{norm}");
        }
        let setup = Setup::new(
            (&[-1.0; 3], &[1.0; 3]),
            SensorError::Ball { radius: 0.1, norm },
            Rule::Class { margin: 0.0 },
            &[0.0; 2],
            Setup::NO_BUDGET,
            1,
        );
        let size = setup.size(&model, 1);
        let (mut floats, mut indices) = (vec![0.0; size.floats], vec![0; size.indices]);
        let memory = Workspace { floats: &mut floats, indices: &mut indices };
        let found = Monitor::new(model, setup, memory).err();
        assert_eq!(found, left_out.then_some(SetupError::Feature("norms")), "{norm}");
    }
    assert!(RegionError::Feature("norms").to_string().contains("`norms`"));
    assert!(SetupError::Feature("norms").to_string().contains("`norms`"));
}

#[test]
fn a_monitor_measures_by_the_simplex_only_with_its_feature() {
    let words = net(blob::RELU);
    let model = Model::from_words(&words).unwrap();
    let rule = Rule::Class { margin: 0.0 };
    assert_eq!(Means::Simplex.most_macs(&model, &rule).is_some(), SIMPLEX);
    assert!(Means::Crown.most_macs(&model, &rule).is_some());
}
