//! SVG plots: shares of the samples against a radius or a margin.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::curve::Curve;
use super::file;
use super::number::percent;
use super::record::{Record, Verdict};
use super::{Heading, Summary};
use crate::error::{Error, Result};

const SIZE: (u32, u32) = (960, 600);
/// Told apart also by readers who see few colours (Okabe and Ito).
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
    RGBColor(130, 130, 130),
];

/// A plot of curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Over everything.
    pub title: String,
    /// Under the title, smaller.
    pub subtitle: String,
    /// What the horizontal axis counts, with its unit.
    pub x: String,
    /// What the vertical axis counts, with its unit.
    pub y: String,
    /// Whether thresholds begin at 0 (a radius) or on both sides of it, with 0 marked (a margin).
    pub from_zero: bool,
    /// The curves, in the order of the legend.
    pub curves: Vec<Curve>,
}

impl Plot {
    /// Certified accuracy against the radius (`radius`), with that under attack where there was one,
    /// or the share of samples against the margin that was proved (`certify`) or that is left
    /// (`attack`). A misclassified sample counts as not certified at every radius; without labels
    /// there is no accuracy, and the share certified is drawn.
    pub fn of(records: &[Record], heading: &Heading) -> Self {
        let n = records.len();
        let samples = format!("{n} sample{}", if n == 1 { "" } else { "s" });
        let by = format!(
            "method {}, {} semantics, on {}",
            heading.method, heading.semantics, heading.backend
        );
        let all = Summary::of(records);
        let share = if all.labelled { "certified accuracy" } else { "samples certified" };
        if heading.what == "radius" {
            let certified = records.iter().filter(|r| r.verdict == Verdict::Certified);
            let radii: Vec<f64> = certified.filter_map(|r| r.radius).collect();
            let mut curves = vec![Curve::at_least(heading.method.as_str(), &radii, n)];
            // What is exact is not found by attacks on all samples.
            let attacked = records.iter().any(|r| r.attacked.is_some());
            let mut y = share;
            if attacked && records.iter().all(|r| r.exact.is_none()) {
                curves[0].name = "certified".into();
                y = if all.labelled { "accuracy" } else { "samples" };
                curves.push(Curve::at_least("under attack", &unbroken(records), n));
            }
            return Plot {
                title: format!("{} by radius: {}", capital(share), heading.model),
                subtitle: format!("{samples} of {}; {by}", heading.data),
                x: format!("radius around each sample ({}, in units of the data)", heading.norm),
                y: format!("{y} (%)"),
                from_zero: true,
                curves,
            };
        }
        let right = records.iter().filter(|r| r.verdict != Verdict::Misclassified);
        let margins: Vec<f64> = right.filter_map(|r| r.margin).collect();
        let epsilon = heading.epsilon.map(|e| format!(" radius {e}")).unwrap_or_default();
        let within = format!("within {}{epsilon}: {}", heading.norm, heading.model);
        let (title, told, x) = if heading.what == "attack" {
            (
                format!("Margins left {within}"),
                format!("falsified {}", percent(all.falsified, n)),
                "t: least lead of the right output that was found (falsified where 0 or less)",
            )
        } else {
            (
                format!("Proved margins {within}"),
                format!("{share} {}", percent(all.certified, n)),
                "t: proved lead of the right output over every other (certified where above 0)",
            )
        };
        Plot {
            title,
            subtitle: format!("{samples} of {}, {told}; {by}", heading.data),
            x: x.into(),
            y: "samples with a lead of at least t (%)".into(),
            from_zero: false,
            curves: vec![Curve::at_least(heading.method.as_str(), &margins, n)],
        }
    }

    /// Writes the plot to `path` as SVG, whole or not at all.
    ///
    /// # Errors
    /// The system's, naming `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let svg =
            self.svg().map_err(|e| Error::Usage(format!("{}: no plot: {e}", path.display())))?;
        file::replace(path, |out| out.write_all(svg.as_bytes()))
    }

    /// The least and the largest threshold shown.
    fn range(&self) -> (f64, f64) {
        let values = || self.curves.iter().flat_map(|c| &c.points).map(|p| p.0);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        let low = values().fold(f64::INFINITY, f64::min);
        if self.from_zero {
            return (0.0, if high > 0.0 { high * 1.04 } else { 1.0 });
        }
        let (low, high) = (low.min(0.0), high.max(0.0));
        // A hopeless lower bound far out would press all others into one line.
        let low = if high > 0.0 { low.max(-3.0 * high) } else { low };
        let room = 0.04 * (high - low);
        if room > 0.0 { (low - room, high + room) } else { (-1.0, 1.0) }
    }

    /// The plot as SVG text.
    pub fn svg(&self) -> std::result::Result<String, Box<dyn std::error::Error + '_>> {
        let mut text = String::new();
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let centre = Pos::new(HPos::Center, VPos::Top);
        let middle = SIZE.0 as i32 / 2;
        let title = ("sans-serif", 27).into_font().color(&BLACK).pos(centre);
        let small = ("sans-serif", 18).into_font().color(&BLACK.mix(0.65)).pos(centre);
        root.draw(&Text::new(cut(&self.title, 70), (middle, 16), title))?;
        root.draw(&Text::new(cut(&self.subtitle, 122), (middle, 48), small))?;

        let (low, high) = self.range();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(84)
            .margin_right(28)
            .margin_bottom(12)
            .margin_left(12)
            .x_label_area_size(56)
            .y_label_area_size(70)
            .build_cartesian_2d(low..high, 0.0..100.0)?;
        let tick = Tick::over(high - low);
        chart
            .configure_mesh()
            .x_labels(9)
            .y_labels(11)
            .x_label_formatter(&|v| tick.text(*v))
            .y_label_formatter(&|v| format!("{v:.0}"))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .axis_style(BLACK.mix(0.7))
            .label_style(("sans-serif", 19))
            .axis_desc_style(("sans-serif", 21))
            .x_desc(cut(&self.x, 80))
            .y_desc(cut(&self.y, 48))
            .draw()?;
        if !self.from_zero {
            chart.draw_series(LineSeries::new([(0.0, 0.0), (0.0, 100.0)], BLACK.mix(0.7)))?;
        }
        for (i, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let steps = shown(&curve.points, low, high, self.from_zero);
            chart
                .draw_series(LineSeries::new(steps, colour.stroke_width(3)))?
                .label(cut(&curve.name, 40))
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3))
                });
        }
        // One curve needs no key.
        if self.curves.len() > 1 && self.curves.iter().any(|c| !c.points.is_empty()) {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .margin(14)
                .legend_area_size(32)
                .label_font(("sans-serif", 19))
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.25))
                .draw()?;
        }
        root.present()?;
        drop(chart);
        drop(root);
        Ok(text)
    }
}

/// The distance of each rightly answered sample's nearest input with another answer, infinite where
/// none was found.
fn unbroken(records: &[Record]) -> Vec<f64> {
    let right = records.iter().filter(|r| r.verdict != Verdict::Misclassified);
    right.map(|r| r.attacked.unwrap_or(f64::INFINITY)).collect()
}

/// The part of a curve from `low` to `high`, without points that fall on the pixel before them.
fn shown(points: &[(f64, f64)], low: f64, high: f64, from_zero: bool) -> Vec<(f64, f64)> {
    let Some(&first) = points.first() else { return Vec::new() };
    let start = points.iter().take_while(|p| p.0 < low).last().copied().unwrap_or(first).1;
    let end = points.iter().take_while(|p| p.0 <= high).last().copied().unwrap_or(first).1;
    let inside = points.iter().copied().filter(|p| p.0 >= low && p.0 <= high);
    let pixel = |p: (f64, f64)| {
        let x = (p.0 - low) / (high - low) * f64::from(SIZE.0);
        (x.round() as i64, (p.1 / 100.0 * f64::from(SIZE.1)).round() as i64)
    };
    let lead = if from_zero { 0.0 } else { low };
    let mut kept = vec![(lead, start)];
    for p in inside.chain([(high, end)]) {
        if kept.last().is_none_or(|&last| pixel(last) != pixel(p)) {
            kept.push(p);
        }
    }
    kept
}

/// How ticks of an axis are written: as many decimals as tell them apart.
pub(super) struct Tick {
    decimals: usize,
    exponent: bool,
}

impl Tick {
    pub(super) fn over(width: f64) -> Self {
        let magnitude = (width / 6.0).log10().floor();
        Tick {
            decimals: (-magnitude).clamp(0.0, 8.0) as usize,
            exponent: !(-4.0..6.0).contains(&magnitude),
        }
    }

    pub(super) fn text(&self, value: f64) -> String {
        let text = if self.exponent {
            format!("{value:.1e}")
        } else {
            format!("{value:.*}", self.decimals)
        };
        // Ticks are sums of steps: the one at 0 may be off by a rounding, to either side.
        if text.parse() == Ok(0.0) { "0".to_owned() } else { text }
    }
}

/// `text` with its first letter large.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The first `width` characters at most.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let head: String = text.chars().take(width - 3).collect();
    format!("{head}...")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::tests::record;

    fn heading(what: &str) -> Heading {
        Heading {
            model: "a<b>&c.onnx".into(),
            data: "x.npz".into(),
            what: what.into(),
            norm: "linf".into(),
            epsilon: None,
            method: "crown".into(),
            semantics: "real".into(),
            backend: "cpu".into(),
        }
    }

    #[test]
    fn radii_and_margins_have_their_axes() {
        let records =
            [record(0), Record { radius: None, verdict: Verdict::Misclassified, ..record(1) }];
        let plot = Plot::of(&records, &heading("radius"));
        assert_eq!(plot.curves[0].points, [(0.1, 50.0), (0.1, 0.0)]);
        let svg = plot.svg().unwrap();
        for text in [
            "radius around each sample (linf, in units of the data)",
            "certified accuracy (%)",
            "a&lt;b&gt;&amp;c.onnx",
            "2 samples",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        let records = [Record { margin: Some(-2.0), radius: None, ..record(0) }];
        assert!(Plot::of(&records, &heading("certify")).svg().unwrap().contains("proved lead"));
    }

    #[test]
    fn attacked_radii_are_the_second_curve() {
        let records = [
            Record { attacked: Some(0.3), ..record(0) },
            record(1),
            Record { verdict: Verdict::Misclassified, radius: Some(0.0), ..record(2) },
            Record { verdict: Verdict::Unknown, radius: Some(0.0), ..record(3) },
        ];
        let plot = Plot::of(&records, &heading("radius"));
        assert_eq!(plot.curves[0].points, [(0.1, 50.0), (0.1, 0.0)]);
        assert_eq!(plot.curves[1].points, [(0.3, 75.0), (0.3, 50.0)]);
        let svg = plot.svg().unwrap();
        assert!(svg.contains("under attack") && svg.contains("certified"));
        // The second curve is no certificate.
        assert_eq!(plot.y, "accuracy (%)");
        let records = [Record { margin: Some(-2.0), radius: None, ..record(0) }];
        assert!(Plot::of(&records, &heading("attack")).svg().unwrap().contains("Margins left"));
    }

    #[test]
    fn every_run_has_a_plot() {
        let one = |radius, margin| vec![Record { radius, margin, ..record(0) }];
        let values =
            [0.0, -0.0, 1e-300, 1e299, 1e301, f64::INFINITY, f64::NAN, -1.0, -1e299, 5e-324];
        let mut runs = vec![vec![], one(None, None)];
        for v in values {
            runs.push(one(Some(v), Some(v)));
            let mut two = one(Some(v), Some(v));
            two.extend(one(Some(0.5), Some(-0.5)));
            runs.push(two);
        }
        for records in runs {
            for what in ["radius", "certify"] {
                let svg = Plot::of(&records, &heading(what)).svg().unwrap();
                assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{records:?}");
            }
        }
    }

    #[test]
    fn many_samples_make_few_points() {
        let values: Vec<f64> = (0..100_000).map(|i| f64::from(i) * 1e-6).collect();
        let curve = Curve::at_least("crown", &values, values.len());
        assert!(shown(&curve.points, 0.0, 0.104, true).len() < 2000);
    }

    #[test]
    fn ticks() {
        assert_eq!(Tick::over(0.1).text(0.02), "0.02");
        assert_eq!(Tick::over(30.0).text(-5.0), "-5");
        for zero in [0.0, -0.0, 1e-17, -2.7e-17] {
            assert_eq!(Tick::over(0.6).text(zero), "0");
            assert_eq!(Tick::over(1e-7).text(0.0 * zero), "0");
        }
        assert_eq!(Tick::over(1e-7).text(2e-8), "2.0e-8");
    }
}
