//! Convex polygons in the plane, cut by lines, in f64.

/// A point.
pub type Point = [f64; 2];

/// A convex polygon: its corners, counter-clockwise.
pub type Polygon = Vec<Point>;

/// `a x + b y + c`, as `[a, b, c]`.
pub type Line = [f64; 3];

/// Values below this share of a function's terms are taken for 0: what rounding leaves of them,
/// with room. Cuts nearer than this to a corner go through the corner.
const LEVEL: f64 = 1e-12;

/// What a line makes of a polygon.
#[derive(Clone, Debug, PartialEq)]
pub enum Cut {
    /// The function is not below 0 anywhere.
    Above,
    /// The function is not above 0 anywhere.
    Below,
    /// The function is 0 all over.
    Level,
    /// Where it is at least 0, and where it is at most 0.
    Both(Polygon, Polygon),
}

/// The value of `line` at a point.
pub fn value(line: Line, at: Point) -> f64 {
    line[0] * at[0] + line[1] * at[1] + line[2]
}

/// What is taken for 0 among the values of `line` on `polygon`.
pub fn tolerance(line: Line, polygon: &[Point]) -> f64 {
    let size = |p: &Point| (line[0] * p[0]).abs() + (line[1] * p[1]).abs() + line[2].abs();
    LEVEL * polygon.iter().map(size).fold(0.0, f64::max)
}

/// Cuts a polygon by the line on which a function is 0.
pub fn cut(polygon: &[Point], line: Line) -> Cut {
    let zero = tolerance(line, polygon);
    let snap = |v: f64| if v.abs() <= zero { 0.0 } else { v };
    let values: Vec<f64> = polygon.iter().map(|p| snap(value(line, *p))).collect();
    let (any_above, any_below) = (values.iter().any(|v| *v > 0.0), values.iter().any(|v| *v < 0.0));
    match (any_above, any_below) {
        (true, false) => return Cut::Above,
        (false, true) => return Cut::Below,
        (false, false) => return Cut::Level,
        (true, true) => {}
    }
    let (mut above, mut below) = (Polygon::new(), Polygon::new());
    for (i, (&p, &v)) in polygon.iter().zip(&values).enumerate() {
        let next = (i + 1) % polygon.len();
        if v >= 0.0 {
            above.push(p);
        }
        if v <= 0.0 {
            below.push(p);
        }
        if v * values[next] < 0.0 {
            let share = v / (v - values[next]);
            let q = polygon[next];
            let crossing = [p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1])];
            above.push(crossing);
            below.push(crossing);
        }
    }
    Cut::Both(above, below)
}

/// The part of a polygon where a function is at least 0, if it has an area.
pub fn keep(polygon: &[Point], line: Line) -> Option<Polygon> {
    match cut(polygon, line) {
        Cut::Above | Cut::Level => Some(polygon.to_vec()),
        Cut::Both(above, _) => Some(above),
        Cut::Below => None,
    }
}

/// The area.
pub fn area(polygon: &[Point]) -> f64 {
    let corners = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let Some(&origin) = polygon.first() else { return 0.0 };
    let from = |p: &Point| [p[0] - origin[0], p[1] - origin[1]];
    let cross = corners.map(|(p, q)| {
        let (p, q) = (from(p), from(q));
        p[0] * q[1] - p[1] * q[0]
    });
    0.5 * cross.sum::<f64>()
}

/// A point inside: the mean of the corners.
pub fn inside(polygon: &[Point]) -> Point {
    let n = polygon.len().max(1) as f64;
    let sum = polygon.iter().fold([0.0, 0.0], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
    [sum[0] / n, sum[1] / n]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: [Point; 4] = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]];

    #[test]
    fn a_square_is_cut() {
        assert_eq!(area(&SQUARE), 4.0);
        assert_eq!(inside(&SQUARE), [1.0, 1.0]);
        let Cut::Both(above, below) = cut(&SQUARE, [1.0, 0.0, -0.5]) else { panic!("cut") };
        assert_eq!((area(&above), area(&below)), (3.0, 1.0));
        assert_eq!(above, [[0.5, 0.0], [2.0, 0.0], [2.0, 2.0], [0.5, 2.0]]);
        // Through two corners, and along an edge.
        let Cut::Both(above, below) = cut(&SQUARE, [1.0, -1.0, 0.0]) else { panic!("cut") };
        assert_eq!((above.len(), below.len(), area(&above)), (3, 3, 2.0));
        assert_eq!(cut(&SQUARE, [1.0, 0.0, 0.0]), Cut::Above);
        assert_eq!(cut(&SQUARE, [-1.0, 0.0, 1e-15]), Cut::Below);
        assert_eq!(cut(&SQUARE, [0.0, 0.0, 0.0]), Cut::Level);
        assert_eq!(keep(&SQUARE, [0.0, 0.0, -1.0]), None);
    }
}
