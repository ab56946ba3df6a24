use super::*;

/// Ways, gradients and rooms of several shapes, some rooms 0 or infinite.
fn case(rng: &mut fastrand::Rng) -> (Vec<f64>, Vec<[f64; 2]>) {
    let n = rng.usize(1..7);
    let way = (0..n).map(|_| [0.0, 1.0, 4.0][rng.usize(0..3)] * (rng.f64() - 0.5)).collect();
    let room = |rng: &mut fastrand::Rng| match rng.u32(0..4) {
        0 => 0.0,
        1 => f64::INFINITY,
        _ => rng.f64(),
    };
    let rooms = (0..n).map(|_| [room(rng), room(rng)]).collect();
    (way, rooms)
}

fn inside(way: &[f64], rooms: &[[f64; 2]], norm: Norm, radius: f64) -> bool {
    let boxed = way.iter().zip(rooms).all(|(w, [down, up])| -down <= *w && w <= up);
    boxed && length(way, norm) <= radius
}

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::Linf];

fn general() -> impl Iterator<Item = Norm> {
    [1.25, 1.5, 3.0, 20.0].into_iter().filter_map(Norm::new)
}

/// A point p is the projection of y onto a convex set if and only if `(y - p).(q - p) <= 0` for
/// every q of the set.
#[test]
fn projections_obey_the_variational_inequality() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut moved = 0;
    for _ in 0..3000 {
        let (way, rooms) = case(&mut rng);
        let radius = [0.0, 0.1, 0.5, 2.0][rng.usize(0..4)];
        for norm in NORMS {
            let mut found = way.clone();
            project(&mut found, &rooms, norm, radius);
            assert!(inside(&found, &rooms, norm, radius), "{norm:?} {way:?} {rooms:?} {found:?}");
            moved += usize::from(found != way);
            for _ in 0..40 {
                let mut other: Vec<f64> = way.iter().map(|_| 4.0 * (rng.f64() - 0.5)).collect();
                for (w, [down, up]) in other.iter_mut().zip(&rooms) {
                    *w = w.max(-down).min(*up);
                }
                let size = length(&other, norm);
                if size > radius {
                    other.iter_mut().for_each(|w| *w *= radius / size * (1.0 - 1e-15));
                }
                let product: f64 = way
                    .iter()
                    .zip(&found)
                    .zip(&other)
                    .map(|((way, found), other)| (way - found) * (other - found))
                    .sum();
                assert!(
                    product <= 1e-9,
                    "{norm:?} {way:?} {rooms:?} {radius}: {found:?} {other:?}"
                );
            }
        }
    }
    assert!(moved > 3000, "{moved}");
}

#[test]
fn what_is_inside_stays() {
    let way = [0.25, -0.5];
    for norm in NORMS {
        let mut found = way;
        project(&mut found, &[[1.0; 2]; 2], norm, 0.75 * 1.01);
        assert_eq!(found, way, "{norm:?}");
    }
}

#[test]
fn general_balls_are_entered_along_the_ray() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut shortened = 0;
    for _ in 0..3000 {
        let (way, rooms) = case(&mut rng);
        let radius = [0.0, 0.1, 0.5, 2.0][rng.usize(0..4)];
        for norm in general() {
            let mut found = way.clone();
            project(&mut found, &rooms, norm, radius);
            let narrow: Vec<f32> = found.iter().map(|w| *w as f32).collect();
            let zeros = vec![0.0; narrow.len()];
            assert!(inside(&found, &rooms, norm, radius), "{norm} {way:?} {rooms:?} {found:?}");
            // What f32 rounds, it rounds by less than 1e-7.
            let above = super::super::distance::distance_up(&narrow, &zeros, norm);
            assert!(above <= radius * (1.0 + 1e-6) + 1e-30, "{norm} {found:?}");
            if inside(&way, &rooms, norm, radius * 0.999) {
                assert_eq!(found, way);
            } else if radius > 0.0 {
                shortened += 1;
                let cut: Vec<f64> = way
                    .iter()
                    .zip(&rooms)
                    .map(|(w, rooms)| w.abs().min(room(rooms, *w)).copysign(*w))
                    .collect();
                let least = length(&cut, norm).min(radius) * (1.0 - 2e-11);
                assert!(length(&found, norm) >= least, "{norm} {way:?} {found:?}");
            }
        }
    }
    assert!(shortened > 3000, "{shortened}");
}

#[test]
fn the_steepest_direction_of_a_general_norm_gains_the_dual_norm() {
    // p = 1.5, q = 3: along (9, 16, 25), of length (27 + 64 + 125)^(2/3) = 36.
    let p = Norm::new(1.5).and_then(|norm| if let Norm::Lp(p) = norm { Some(p) } else { None });
    let rise = rise(&[3.0, -4.0, 5.0], p.unwrap());
    let [a, b, c] = [3.0, 4.0, 5.0].map(rise);
    assert!((a - 0.36).abs() < 1e-12 && (b - 0.64).abs() < 1e-12 && (c - 1.0).abs() < 1e-12);
    let found = onto(&[3.0, -4.0, 5.0], 6.0, &[[9.0; 2]; 3], Norm::new(1.5).unwrap()).unwrap();
    assert!((length(&found, Norm::new(1.5).unwrap()) - 1.0).abs() < 1e-12);
}

/// No sampled way that gains as much is shorter, and what is found gains exactly what was needed.
#[test]
fn half_spaces_are_reached_by_the_shortest_way() {
    let mut rng = fastrand::Rng::with_seed(2);
    let (mut reached, mut shorter) = (0, 0);
    for _ in 0..3000 {
        let (slopes, rooms) = case(&mut rng);
        let gradient: Vec<f32> = slopes.iter().map(|g| *g as f32).collect();
        let gain = |way: &[f64]| -> f64 {
            way.iter().zip(&gradient).map(|(w, g)| w * f64::from(*g)).sum()
        };
        let need = 0.01 + rng.f64();
        let most: f64 = gradient
            .iter()
            .zip(&rooms)
            .filter(|(g, _)| **g != 0.0)
            .map(|(g, rooms)| f64::from(g.abs()) * rooms[usize::from(*g > 0.0)])
            .sum();
        for norm in NORMS.into_iter().chain(general()) {
            let Some(found) = onto(&gradient, need, &rooms, norm) else {
                assert!(most <= need * (1.0 + 1e-9), "{norm:?} {gradient:?} {rooms:?} {need}");
                continue;
            };
            reached += 1;
            assert!(most >= need * (1.0 - 1e-9));
            let size = length(&found, norm);
            assert!(inside(&found, &rooms, norm, f64::INFINITY));
            assert!((gain(&found) - need).abs() <= 1e-9 * (1.0 + need));
            for _ in 0..40 {
                let mut other: Vec<f64> =
                    found.iter().map(|w| w + 0.3 * size * (rng.f64() - 0.5)).collect();
                for (w, [down, up]) in other.iter_mut().zip(&rooms) {
                    *w = w.max(-down).min(*up);
                }
                if length(&other, norm) < size * (1.0 - 1e-9) {
                    shorter += 1;
                    assert!(gain(&other) < need, "{norm:?} {gradient:?} {rooms:?} {other:?}");
                }
            }
        }
    }
    assert!(reached > 2000 && shorter > 10_000, "{reached} {shorter}");
}

#[test]
fn half_spaces_that_hold_already_need_no_way() {
    assert_eq!(onto(&[1.0], -0.5, &[[1.0; 2]], Norm::L2), Some(vec![0.0]));
    assert_eq!(onto(&[1.0], f64::NAN, &[[1.0; 2]], Norm::L2), None);
    assert_eq!(onto(&[0.0], 0.5, &[[1.0; 2]], Norm::Linf), None);
}
