//! SVG pictures of linear regions: where a network is affine, what it decides, what is certified.

use std::path::Path;

use certus_engine::region::Norm;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::file;
use super::number::lower;
use super::plot::{COLOURS, Tick, cut as shorten};
use crate::error::{Error, Result};
use crate::geometry::polygon::{Cut, Line, Point, Polygon, cut, keep, tolerance, value};
use crate::geometry::{Piece, Plane, Window};

/// Size as shown.
const SIZE: (u32, u32) = (980, 760);
/// Plotters draws on whole pixels: it gets this many for each one that is shown.
const FINE: u32 = 8;
/// Width of the legend's column, of the chart's margins and of its labels, as shown.
const LEGEND: u32 = 290;
const TOP: u32 = 84;
const MARGIN: u32 = 12;
const X_LABELS: u32 = 56;
const Y_LABELS: u32 = 70;
const LARGEST_LEGEND: usize = 10;
/// The ball and the minimiser.
const CERTIFIED: RGBColor = RGBColor(110, 30, 100);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What is known of the centre, in the units of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// The norm of all distances.
    pub norm: Norm,
    /// The certified radius.
    pub radius: f32,
    /// `dB`, the distance to the nearest border of the centre's linear region.
    pub boundary: f32,
    /// `dD`, the distance to the nearest decision boundary of the region's own functions.
    pub decision: f32,
    /// The nearest input that is not decided like the centre, where that is known exactly.
    pub minimiser: Option<Vec<f32>>,
}

/// A picture of the linear regions over a window.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionPlot {
    /// Over everything: the model's name.
    pub title: String,
    /// The plane; its origin is the centre.
    pub plane: Plane,
    /// The part of it that is shown.
    pub window: Window,
    /// The regions that fill the window.
    pub pieces: Vec<Piece>,
    /// What the network decides at the centre.
    pub class: usize,
    /// What is known of the centre.
    pub overlay: Overlay,
}

/// A piece's part that is decided for one class.
struct Part {
    class: usize,
    polygon: Polygon,
    /// Sides on which another class draws level.
    decision: Vec<[Point; 2]>,
}

impl RegionPlot {
    /// Writes the picture to `path` as SVG, whole or not at all.
    ///
    /// # Errors
    /// The system's, naming `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let svg = self.svg()?;
        file::replace(path, |out| out.write_all(svg.as_bytes()))
    }

    /// The picture as SVG text.
    ///
    /// # Errors
    /// What the drawing library says.
    pub fn svg(&self) -> Result<String> {
        let mut text = String::new();
        self.draw(&mut text).map_err(|error| Error::Usage(format!("no picture: {error}")))?;
        let size = |by: u32| format!("width=\"{}\" height=\"{}\"", SIZE.0 * by, SIZE.1 * by);
        // The view box keeps the fine coordinates.
        Ok(text.replacen(&size(FINE), &size(1), 1))
    }

    fn draw(&self, text: &mut String) -> Drawn<()> {
        let fine = (SIZE.0 * FINE, SIZE.1 * FINE);
        let root = SVGBackend::with_string(text, fine).into_drawing_area();
        root.fill(&WHITE)?;
        let centred = |size: u32, strength: f64| {
            let style = ("sans-serif", size * FINE).into_font().color(&BLACK.mix(strength));
            style.pos(Pos::new(HPos::Center, VPos::Top))
        };
        let middle = fine.0 as i32 / 2;
        let title = shorten(&format!("Linear regions of {}", self.title), 70);
        root.draw(&Text::new(title, (middle, 16 * FINE as i32), centred(27, 1.0)))?;
        let subtitle = (middle, 48 * FINE as i32);
        root.draw(&Text::new(self.subtitle(), subtitle, centred(18, 0.65)))?;

        let (lo, hi) = (self.window.lo, self.window.hi);
        let mut chart = ChartBuilder::on(&root)
            .margin_top(TOP * FINE)
            .margin_right(LEGEND * FINE)
            .margin_bottom(MARGIN * FINE)
            .margin_left(MARGIN * FINE)
            .x_label_area_size(X_LABELS * FINE)
            .y_label_area_size(Y_LABELS * FINE)
            .build_cartesian_2d(lo[0]..hi[0], lo[1]..hi[1])?;
        let tick = Tick::over(hi[0] - lo[0]);
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(7)
            .y_labels(7)
            .x_label_formatter(&|v| tick.text(*v))
            .y_label_formatter(&|v| tick.text(*v))
            .axis_style(BLACK.mix(0.7).stroke_width(FINE))
            .set_all_tick_mark_size(4 * FINE)
            .label_style(("sans-serif", 19 * FINE))
            .axis_desc_style(("sans-serif", 21 * FINE))
            .x_desc(format!("input {}", self.plane.axes[0]))
            .y_desc(format!("input {}", self.plane.axes[1]))
            .draw()?;

        let parts: Vec<(&Piece, Part)> = self
            .pieces
            .iter()
            .flat_map(|p| parts(p).into_iter().map(move |part| (p, part)))
            .collect();
        chart.draw_series(parts.iter().map(|(piece, part)| {
            plotters::element::Polygon::new(
                corners(&part.polygon),
                shade(part.class, &piece.pattern).filled(),
            )
        }))?;
        let border = BLACK.mix(0.32).stroke_width(FINE * 3 / 4);
        chart.draw_series(self.pieces.iter().map(|p| outline(&p.polygon, border)))?;
        let decision = BLACK.stroke_width(3 * FINE);
        let sides = parts.iter().flat_map(|(_, part)| &part.decision);
        chart.draw_series(
            sides.map(|s| PathElement::new([(s[0][0], s[0][1]), (s[1][0], s[1][1])], decision)),
        )?;

        let center = self.center();
        if let Some(ball) = self.ball(center) {
            chart.draw_series([plotters::element::Polygon::new(
                corners(&ball),
                WHITE.mix(0.4).filled(),
            )])?;
            chart.draw_series([outline(&ball, CERTIFIED.stroke_width(5 * FINE / 2))])?;
        }
        let shown = |at: Point| keep_point(&self.window, at).then_some((at[0], at[1]));
        if let Some(at) = shown(center) {
            chart.draw_series([
                Circle::new(at, 7 * FINE as i32, WHITE.filled()),
                Circle::new(at, 5 * FINE as i32, BLACK.filled()),
            ])?;
        }
        if let Some(at) = self.minimiser().and_then(shown) {
            for (colour, width) in [(WHITE, 7), (CERTIFIED, 3)] {
                let style = colour.stroke_width(width * FINE);
                chart.draw_series([Cross::new(at, 7 * FINE as i32, style)])?;
            }
        }
        self.legend(&root, parts.iter().map(|(_, part)| part.class))?;
        root.present()?;
        Ok(())
    }

    fn subtitle(&self) -> String {
        let n = self.pieces.len();
        let [i, j] = self.plane.axes;
        let others = match self.plane.origin.len() {
            2 => String::new(),
            inputs => format!(", inputs {i} and {j} of {inputs}, the others as at the centre"),
        };
        format!("{n} linear region{} in the window{others}", if n == 1 { "" } else { "s" })
    }

    fn center(&self) -> Point {
        self.plane.axes.map(|axis| self.plane.origin[axis])
    }

    /// The ball's part in the window, if it has a radius.
    fn ball(&self, center: Point) -> Option<Polygon> {
        let radius = f64::from(self.overlay.radius);
        let unit = unit_ball(self.overlay.norm);
        let whole = unit.iter().map(|[x, y]| [center[0] + radius * x, center[1] + radius * y]);
        let whole: Polygon = whole.collect();
        let (lo, hi) = (self.window.lo, self.window.hi);
        let sides: [Line; 4] =
            [[1.0, 0.0, -lo[0]], [-1.0, 0.0, hi[0]], [0.0, 1.0, -lo[1]], [0.0, -1.0, hi[1]]];
        let ball = sides.iter().try_fold(whole, |ball, side| keep(&ball, *side))?;
        (radius > 0.0 && radius.is_finite()).then_some(ball)
    }

    /// The minimiser in the plane's coordinates, if it lies in the plane.
    fn minimiser(&self) -> Option<Point> {
        let at = self.overlay.minimiser.as_ref()?;
        let fixed = |i: &usize| !self.plane.axes.contains(i);
        let origin = &self.plane.origin;
        let inside =
            (0..origin.len()).filter(fixed).all(|i| at.get(i) == Some(&(origin[i] as f32)));
        (inside && at.len() == origin.len()).then(|| self.plane.axes.map(|i| f64::from(at[i])))
    }

    /// The column on the right.
    fn legend(&self, root: &Canvas<'_>, classes: impl Iterator<Item = usize>) -> Drawn<()> {
        let mut classes: Vec<usize> = classes.collect();
        classes.sort_unstable();
        classes.dedup();
        let mut rows: Vec<(Mark, String)> = Vec::new();
        for class in classes.iter().take(LARGEST_LEGEND) {
            rows.push((Mark::Patch(*class), format!("class {class}")));
        }
        if classes.len() > LARGEST_LEGEND {
            rows.push((Mark::More, format!("and {} more", classes.len() - LARGEST_LEGEND)));
        }
        rows.push((Mark::Gap, String::new()));
        rows.push((Mark::Decision, "decision boundary".into()));
        rows.push((Mark::Border, "border of a linear region".into()));
        rows.push((Mark::Gap, String::new()));
        let number = |x: f32| lower(f64::from(x));
        let [x, y] = self.center().map(|x| (1e4 * x).round() / 1e4 + 0.0);
        rows.push((Mark::Centre, format!("centre, class {}", self.class)));
        rows.push((Mark::More, format!("at ({x}, {y})")));
        let overlay = &self.overlay;
        rows.push((Mark::Ball, format!("simplex certificate, {}", overlay.norm)));
        rows.push((Mark::More, format!("radius {}", number(overlay.radius))));
        if self.minimiser().is_some() {
            rows.push((Mark::Minimiser, "nearest other decision".into()));
            rows.push((Mark::More, "exact: dD is at most dB".into()));
        }
        rows.push((Mark::Gap, String::new()));
        rows.push((Mark::Text, format!("dB = {}", number(overlay.boundary))));
        rows.push((Mark::Note, "to the border of its region".into()));
        rows.push((Mark::Text, format!("dD = {}", number(overlay.decision))));
        rows.push((Mark::Note, "to the region's own boundary".into()));
        let mut y = (TOP + 14) as i32;
        for (mark, text) in rows {
            mark.draw(root, overlay.norm, y)?;
            let indent = if matches!(mark, Mark::Text | Mark::Note) { 22 } else { 62 };
            let left = SIZE.0 as i32 - LEGEND as i32 + indent;
            let faint = matches!(mark, Mark::More | Mark::Note);
            let strength = if faint { 0.65 } else { 1.0 };
            let style = ("sans-serif", 18 * FINE).into_font().color(&BLACK.mix(strength));
            let style = style.pos(Pos::new(HPos::Left, VPos::Center));
            let step = if text.is_empty() { 14 } else { 27 };
            root.draw(&Text::new(text, fine(left, y), style))?;
            y += step;
        }
        Ok(())
    }
}

/// Corners of a norm's unit ball, on a circle's angles where it is round.
fn unit_ball(norm: Norm) -> Polygon {
    let corners = match norm {
        Norm::L1 | Norm::Linf => 4,
        Norm::L2 => 180,
        Norm::Lp(_) => 360,
    };
    let (turn, reach) = match norm {
        Norm::Linf => (0.5, 2f64.sqrt()),
        _ => (0.0, 1.0),
    };
    let corner = |k: i32| {
        let angle = (f64::from(k) + turn) * std::f64::consts::TAU / f64::from(corners);
        let at = [angle.cos(), angle.sin()];
        let reach = if let Norm::Lp(p) = norm { reach / length(at, p.get()) } else { reach };
        at.map(|x| reach * x)
    };
    (0..corners).map(corner).collect()
}

/// `||x||_p`.
fn length(x: Point, p: f32) -> f64 {
    let (p, [a, b]) = (f64::from(p), x.map(f64::abs));
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    large * (1.0 + (small / large).powf(p)).powf(1.0 / p)
}

/// What stands before a line of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Patch(usize),
    Decision,
    Border,
    Centre,
    Ball,
    Minimiser,
    /// What belongs to the line above.
    More,
    Gap,
    /// A line without a mark, and what belongs to it.
    Text,
    Note,
}

impl Mark {
    fn draw(self, root: &Canvas<'_>, norm: Norm, y: i32) -> Drawn<()> {
        let x = SIZE.0 as i32 - LEGEND as i32 + 36;
        let line = [fine(x - 14, y), fine(x + 14, y)];
        // The library draws the border of a rectangle one fine pixel wide.
        let square = |r: i32, style: ShapeStyle| {
            let corners = [(-r, -r), (r, -r), (r, r), (-r, r), (-r, -r), (r, -r)];
            PathElement::new(corners.map(|c| fine(x + c.0, y + c.1)), style)
        };
        let around = |r: i32| [fine(x - r, y - r), fine(x + r, y + r)];
        let certified = CERTIFIED.stroke_width(5 * FINE / 2);
        match self {
            Mark::Patch(class) => {
                root.draw(&Rectangle::new(around(9), shade(class, &[true]).filled()))?;
                root.draw(&square(9, BLACK.mix(0.4).stroke_width(FINE)))?;
            }
            Mark::Decision => {
                root.draw(&PathElement::new(line, BLACK.stroke_width(3 * FINE)))?;
            }
            Mark::Border => {
                let style = BLACK.mix(0.5).stroke_width(FINE);
                root.draw(&PathElement::new(line, style))?;
            }
            Mark::Centre => {
                root.draw(&Circle::new(fine(x, y), 5 * FINE as i32, BLACK.filled()))?;
            }
            Mark::Ball => match norm {
                Norm::L2 => root.draw(&Circle::new(fine(x, y), 9 * FINE as i32, certified))?,
                Norm::Linf => root.draw(&square(8, certified))?,
                Norm::L1 => {
                    let corners = [(10, 0), (0, 10), (-10, 0), (0, -10), (10, 0), (0, 10)];
                    root.draw(&PathElement::new(
                        corners.map(|c| fine(x + c.0, y + c.1)),
                        certified,
                    ))?;
                }
                Norm::Lp(_) => {
                    let unit = unit_ball(norm);
                    // Twice the first side, so that the ends join.
                    let corners = unit.iter().chain(&unit[..2]).map(|[dx, dy]| {
                        let at = |x: i32, d: f64| ((f64::from(x) + 9.0 * d) * FINE as f64) as i32;
                        (at(x, *dx), at(y, *dy))
                    });
                    root.draw(&PathElement::new(corners.collect::<Vec<_>>(), certified))?;
                }
            },
            Mark::Minimiser => {
                let style = CERTIFIED.stroke_width(3 * FINE);
                root.draw(&Cross::new(fine(x, y), 7 * FINE as i32, style))?;
            }
            Mark::More | Mark::Gap | Mark::Text | Mark::Note => {}
        }
        Ok(())
    }
}

/// Pixels as shown, in those that are drawn on.
fn fine(x: i32, y: i32) -> (i32, i32) {
    (x * FINE as i32, y * FINE as i32)
}

/// What each class has of a piece; of classes that are level all over, the first.
fn parts(piece: &Piece) -> Vec<Part> {
    let outputs = &piece.outputs;
    let lead = |c: usize, j: usize| {
        let (c, j) = (outputs.line(c), outputs.line(j));
        [c[0] - j[0], c[1] - j[1], c[2] - j[2]]
    };
    let won = |c: usize| {
        let rivals = (0..outputs.len()).filter(move |j| *j != c);
        rivals.clone().try_fold(piece.polygon.clone(), |polygon, j| {
            match cut(&polygon, lead(c, j)) {
                Cut::Above => Some(polygon),
                Cut::Level => (c < j).then_some(polygon),
                Cut::Both(above, _) => Some(above),
                Cut::Below => None,
            }
        })
    };
    let part = |class: usize| {
        let polygon = won(class)?;
        let ends = polygon.iter().zip(polygon.iter().cycle().skip(1));
        let level = |p: &Point, q: &Point| {
            (0..outputs.len()).filter(|j| *j != class).any(|j| {
                let line = lead(class, j);
                // What a crossing computed in floats may be off by.
                let zero = 1e3 * tolerance(line, &piece.polygon);
                value(line, *p).abs() <= zero && value(line, *q).abs() <= zero
            })
        };
        let decision = ends.filter(|(p, q)| level(p, q)).map(|(p, q)| [*p, *q]).collect();
        Some(Part { class, polygon, decision })
    };
    (0..outputs.len()).filter_map(part).collect()
}

/// A light tint of the class's colour, a little stronger with more active neurons so that
/// neighbours differ.
fn shade(class: usize, pattern: &[bool]) -> RGBColor {
    let active = pattern.iter().filter(|positive| **positive).count();
    let share = [0.30, 0.42][active % 2];
    let RGBColor(r, g, b) = COLOURS[class % COLOURS.len()];
    let mix = |c: u8| (255.0 - share * (255.0 - f64::from(c))) as u8;
    RGBColor(mix(r), mix(g), mix(b))
}

fn corners(polygon: &[Point]) -> Vec<(f64, f64)> {
    polygon.iter().map(|p| (p[0], p[1])).collect()
}

/// The closed outline; the first side is drawn twice, so that the corners join.
fn outline(polygon: &[Point], style: ShapeStyle) -> PathElement<(f64, f64)> {
    let ring = polygon.iter().cycle().take(polygon.len() + 2);
    PathElement::new(ring.map(|p| (p[0], p[1])).collect::<Vec<_>>(), style)
}

fn keep_point(window: &Window, at: Point) -> bool {
    (0..2).all(|k| window.lo[k] <= at[k] && at[k] <= window.hi[k])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::regions;
    use crate::network::{Affine, Network};
    use certus_engine::model::Activation;

    /// Class 0 above the line `y = x`, by two units that bend on the axes; a tie where both are 0.
    fn plot(overlay: Overlay) -> RegionPlot {
        let layer = |activation| Affine {
            rows: 2,
            cols: 2,
            weights: vec![0.0, 1.0, 1.0, 0.0],
            bias: vec![0.0; 2],
            activation,
            through: 0,
            weight_error: 0.0,
            bias_error: 0.0,
        };
        let mut last = layer(Activation::Identity);
        last.weights = vec![1.0, 0.0, 0.0, 1.0];
        let network = Network { inputs: 2, layers: vec![layer(Activation::Relu), last] };
        let plane = Plane { origin: vec![0.25, 0.75], axes: [0, 1] };
        let window = Window::around([0.0, 0.0], 1.0);
        let pieces = regions(&network, &plane, &window).unwrap();
        RegionPlot { title: "a<b".into(), plane, window, pieces, class: 0, overlay }
    }

    fn overlay(norm: Norm, radius: f32) -> Overlay {
        Overlay { norm, radius, boundary: radius, decision: radius, minimiser: None }
    }

    #[test]
    fn classes_share_the_window_and_meet_on_the_boundary() {
        let plot = plot(overlay(Norm::L2, 0.25));
        let parts: Vec<Part> = plot.pieces.iter().flat_map(parts).collect();
        let area = |class: usize| {
            let of = parts.iter().filter(|part| part.class == class);
            of.map(|part| crate::geometry::polygon::area(&part.polygon)).sum::<f64>()
        };
        // The quadrant of the tie goes to the first class.
        assert!((area(0) - 2.5).abs() < 1e-9 && (area(1) - 1.5).abs() < 1e-9);
        let sides: Vec<&[Point; 2]> = parts.iter().flat_map(|part| &part.decision).collect();
        assert!(sides.iter().any(|s| s.iter().all(|p| (p[0] - p[1]).abs() < 1e-9)));
        for s in sides {
            let diagonal = s.iter().all(|p| (p[0] - p[1]).abs() < 1e-9);
            let of_the_tie = s.iter().all(|p| p[0] <= 1e-9 && p[1] <= 1e-9);
            assert!(diagonal || of_the_tie, "{s:?}");
        }
    }

    #[test]
    fn every_overlay_has_a_picture() {
        let general = [1.000_001, 3.0, 1e30].map(|p| Norm::new(p).unwrap());
        for norm in [Norm::L1, Norm::L2, Norm::Linf].into_iter().chain(general) {
            for radius in [0.0, 0.25, 1e-30, 5.0, f32::MAX, f32::INFINITY, f32::NAN, -1.0] {
                let svg = plot(overlay(norm, radius)).svg().unwrap();
                assert!(svg.ends_with("</svg>\n") && svg.contains("a&lt;b"), "{radius}");
            }
        }
        for (at, drawn) in [(vec![0.5, 0.5], true), (vec![0.5], false), (vec![0.5; 3], false)] {
            let exact = Overlay { minimiser: Some(at), ..overlay(Norm::L2, 0.25) };
            assert_eq!(plot(exact).svg().unwrap().contains("nearest other"), drawn);
        }
    }

    #[test]
    fn balls_are_cut_to_the_window() {
        let area = |norm, radius| {
            let plot = plot(overlay(norm, radius));
            plot.ball(plot.center()).map(|ball| crate::geometry::polygon::area(&ball))
        };
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-3 * expected, "{found:?} {expected}");
        };
        near(area(Norm::Linf, 0.25), 0.25);
        near(area(Norm::L1, 0.25), 0.125);
        near(area(Norm::L2, 0.25), std::f64::consts::PI / 16.0);
        near(area(Norm::Linf, 100.0), 4.0);
        // 4 G(1 + 1/p)^2 / G(1 + 2/p) r^2.
        near(area(Norm::new(4.0).unwrap(), 0.25), 3.708_149_354_602_744 / 16.0);
        near(area(Norm::new(1.000_1).unwrap(), 0.25), 0.125);
        near(area(Norm::new(1e20).unwrap(), 0.25), 0.25);
        assert_eq!(area(Norm::L2, 0.0), None);
    }
}
