use core::f64::consts;

use super::Function::{self, *};
use super::{TINY, beyond, exp};
use crate::num::ETA;

#[test]
fn known_values() {
    // To ten digits, with which an f32 is told from its neighbours.
    let known = [
        (Exp, 1.0, consts::E),
        (Exp, -10.0, 4.539_992_976e-5),
        (Exp, 88.0, 1.651_636_255e38),
        (Expm1, 1e-4, 1.000_050_002e-4),
        (Expm1, -1.0, -0.632_120_558_8),
        (Expm1, 30.0, 1.068_647_458e13),
        (Sigmoid, 1.0, 0.731_058_578_6),
        (Sigmoid, -20.0, 2.061_153_618e-9),
        (Tanh, 0.5, 0.462_117_157_3),
        (Tanh, -2.0, -0.964_027_580_1),
        (Atan, 1.0, consts::FRAC_PI_4),
        (Atan, -0.25, -0.244_978_663_1),
        (Atan, 3.0, 1.249_045_772),
        (Softplus, 0.0, consts::LN_2),
        (Softplus, 1.0, 1.313_261_688),
        (Softplus, -20.0, 2.061_153_620e-9),
        (NormalCdf, 1.0, 0.841_344_746_1),
        (NormalCdf, -0.5, 0.308_537_538_7),
        (NormalCdf, -5.0, 2.866_515_719e-7),
        (NormalCdf, -12.0, 1.776_482_112e-33),
        (NormalPdf, 0.0, 0.398_942_280_4),
        (NormalPdf, -3.0, 4.431_848_412e-3),
        (NormalPdf, 12.0, 2.146_383_734e-32),
    ];
    for (function, x, truth) in known {
        // 1e-4 is no float; nearly so.
        let room = f64::abs(truth) * 1e-8;
        let (low, high) = function.enclose(x);
        assert!(
            f64::from(low) <= truth + room && truth - room <= f64::from(high),
            "{function:?} {x}"
        );
        let close = f64::abs(truth) * f64::from(function.ulps() + 1) * f64::from(f32::EPSILON);
        let off = |end: f32| f64::abs(f64::from(end) - truth);
        assert!(off(low) <= close && off(high) <= close, "{function:?} {x}: {low} {high}");
    }
}

#[test]
fn exact_at_zero() {
    for x in [0.0, -0.0] {
        for (function, y) in
            [(Exp, 1.0), (Expm1, 0.0), (Sigmoid, 0.5), (Tanh, 0.0), (Atan, 0.0), (NormalCdf, 0.5)]
        {
            assert_eq!(function.enclose(x), (y, y), "{function:?}");
            assert_eq!(function.value(x), y, "{function:?}");
        }
    }
    // But not beside it, subnormal or not.
    for x in [1e-45, ETA, 1e-30] {
        assert_eq!(Tanh.enclose(x).0.max(0.0), Tanh.enclose(x).0);
        assert!(Tanh.enclose(x).1 >= x && Tanh.enclose(-x).0 <= -x);
        assert!(Exp.enclose(x).1 > 1.0 && Exp.enclose(-x).0 < 1.0);
        assert_eq!((Exp.enclose(x).0, Exp.enclose(-x).1), (1.0, 1.0));
    }
}

#[test]
fn limits_lie_within() {
    let limits = [
        (Exp, 0.0, f32::INFINITY),
        (Expm1, -1.0, f32::INFINITY),
        (Sigmoid, 0.0, 1.0),
        (Tanh, -1.0, 1.0),
        (Softplus, 0.0, f32::INFINITY),
        (NormalCdf, 0.0, 1.0),
        (NormalPdf, 0.0, 0.0),
    ];
    for (function, left, right) in limits {
        for (x, limit) in [(f32::NEG_INFINITY, left), (f32::INFINITY, right)] {
            let (low, high) = function.enclose(x);
            assert!(low <= limit && limit <= high, "{function:?}: {low} {high}");
            assert!(low.is_finite(), "{function:?}");
        }
    }
    // pi/2, between two floats.
    let turn = core::f32::consts::FRAC_PI_2;
    let (low, high) = Atan.enclose(f32::INFINITY);
    assert!(low <= turn.next_down() && high == turn);
    assert_eq!(Atan.enclose(f32::NEG_INFINITY), (-high, -low));
}

#[test]
fn nan_stays_and_comes_from_nowhere() {
    for function in Function::ALL {
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001)] {
            assert_eq!(function.value(nan).to_bits(), f32::NAN.to_bits());
            let (low, high) = function.enclose(nan);
            assert!(low.is_nan() && high.is_nan());
        }
        for x in [f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, 1e-45, -1e-45, 89.0] {
            let (low, high) = function.enclose(x);
            assert!(low <= function.value(x) && function.value(x) <= high, "{function:?} {x}");
        }
    }
}

#[test]
fn infinite_only_beyond_the_floats() {
    // ln of the largest float is 88.722839..
    let last = 88.722_83f32;
    for function in [Exp, Expm1] {
        assert!(function.value(last).is_finite() && function.enclose(last).0.is_finite());
        let (low, high) = function.enclose(last.next_up().next_up());
        assert_eq!(high, f32::INFINITY);
        assert!(low.is_finite() && low >= 3.402_8e38);
    }
    let (low, high) = Softplus.enclose(1e38);
    assert!(low <= 1e38 && high > 1e38 && high < 1.000_001e38);
    assert_eq!(Softplus.enclose(f32::MAX).1, f32::INFINITY);
}

#[test]
fn ranges_are_kept() {
    for x in [1e-10, 0.3, 5.0, 17.0, 1e4] {
        assert_eq!((Tanh.enclose(x).1 <= 1.0, Tanh.enclose(-x).0 >= -1.0), (true, true));
        for function in [Sigmoid, NormalCdf] {
            assert!(function.enclose(x).0 >= 0.5 && function.enclose(x).1 <= 1.0);
            assert!(function.enclose(-x).0 >= 0.0 && function.enclose(-x).1 <= 0.5);
        }
        assert!(Expm1.enclose(-x).0 >= -1.0 && Expm1.enclose(-x).1 <= 0.0);
        assert!(NormalPdf.enclose(x).1 < 0.398_942_4 && NormalPdf.enclose(x).0 >= 0.0);
        assert_eq!(Tanh.value(-x), -Tanh.value(x));
        assert_eq!(Atan.value(-x), -Atan.value(x));
        assert_eq!(NormalPdf.value(-x), NormalPdf.value(x));
    }
}

#[test]
fn small_values_have_an_absolute_error() {
    // e^-100, e^-104 and less: subnormal or 0.
    for x in [-100.0, -104.0, -1000.0] {
        for function in [Exp, Sigmoid, Softplus] {
            let (low, high) = function.enclose(x);
            assert!(low == 0.0 && (ETA..64.0 * ETA).contains(&high), "{function:?} {x}");
        }
    }
    assert_eq!(NormalCdf.enclose(-50.0).0, 0.0);
    assert!(NormalPdf.enclose(50.0).1 >= ETA);
}

#[test]
fn floats_beyond() {
    assert_eq!(beyond(1.0, 2), 1.0 + 2.0 * f32::EPSILON);
    assert_eq!(beyond(-1.0, 2), -1.0 + f32::EPSILON);
    assert_eq!(beyond(f32::MAX, 1), f32::INFINITY);
    assert_eq!(beyond(f32::INFINITY, 3), f32::INFINITY);
    assert_eq!(beyond(f32::NEG_INFINITY, 1), f32::MIN);
    assert_eq!(beyond(0.0, 1), 2.0 * TINY);
}

#[test]
fn powers_are_scaled_in_one_rounding() {
    assert_eq!(exp::scale(1.5, 3), 12.0);
    assert_eq!(exp::scale(1.5, -149), f32::from_bits(2));
    assert_eq!(exp::scale(1.0, -126), f32::MIN_POSITIVE);
    assert_eq!(exp::scale(1.0, -252), 0.0);
    assert_eq!(exp::scale(1.0, 127), 1.701_411_8e38);
    assert_eq!(exp::scale(1.0, 128), f32::INFINITY);
}
