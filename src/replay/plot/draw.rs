//! The picture itself, as SVG. It stands on a ground of its own, light or dark
//! as the reader's system is, so that it can be read on any page.

use std::fmt::Write as _;

use rollbackd_core::reading::{Missing, Reading};

use super::{
    Curve, Panel, Plot, Span, Strip, Tone,
    labels::{self, Placed, ROW, width},
    scale::{N, Time, Values},
    trace::Trace,
};

const WIDE: f64 = 760.0;
const PAD: f64 = 12.0;
/// The height of a curve.
const CURVE: f64 = 92.0;
/// The height of a strip, and the room between two.
const STRIP: f64 = 17.0;
const GAP: f64 = 4.0;
/// The room between a curve and its first strip.
const BELOW: f64 = 9.0;
/// The room between two panels.
const BETWEEN: f64 = 10.0;

/// No answer, and an empty one.
const CROSS: &str = "m-3-3l6 6m0-6l-6 6m3-3";
const RING: &str = "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0m3 0";

/// The colours and strokes. `prefers-color-scheme` is that of the reader.
const STYLE: &str = "text{font:11px -apple-system,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif;fill:#24292f}\
.p{fill:#fff;stroke:#d0d7de}.h{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}\
.m{fill:#59636e}path,line{fill:none;stroke:#59636e}.g{stroke:#e6eaee}.c{stroke:#8c959f;stroke-width:1.3}\
.d{stroke-width:4.6;stroke-linecap:round}.d.ok{stroke:#0072b2}.d.bad{stroke:#d14a00}.d.in{stroke:#fff;stroke-width:2}\
.l{stroke-dasharray:5 4}.k{stroke-dasharray:2 3}path.bad{stroke:#d14a00}text.bad{fill:#bc4300}\
path.good{stroke:#00805d}text.good{fill:#00714f}.e{text-anchor:end}.t,.s{text-anchor:middle}.s{fill:#1b1f24}.s.w{fill:#fff}";
const DARK: &str = "text{fill:#e6edf3}.p{fill:#0d1117;stroke:#30363d}.h{stroke:#0d1117}.m{fill:#9198a1}\
path,line{stroke:#9198a1}.g{stroke:#21262d}.c{stroke:#6e7681}.d.ok{stroke:#58b0e8}.d.bad,path.bad{stroke:#ff7b39}\
.d.in{stroke:#0d1117}text.bad{fill:#ff8f57}path.good{stroke:#2fb98e}text.good{fill:#3fcf9f}.s{fill:#1b1f24}.s.w{fill:#fff}";
const HATCH: &str = "<pattern id=\"x\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#d4d9de\"/>\
<rect width=\"2\" height=\"6\" fill=\"#bfc6cd\"/></pattern>";

/// Draws a plot.
pub(super) fn svg(plot: &Plot) -> String {
    let mut drawing = Drawing::new(plot);
    let (height, bottom) = drawing.heights(plot);
    drawing.head(plot, height);
    drawing.marks(plot, bottom);
    let mut top = drawing.top;
    for panel in &plot.panels {
        drawing.panel(panel, top);
        top += height_of(panel) + BETWEEN;
    }
    drawing.mark_labels(plot);
    drawing.axis(bottom);
    drawing.out.push_str("</svg>\n");
    drawing.out
}

struct Drawing {
    out: String,
    time: Time,
    left: f64,
    right: f64,
    /// Where the marks' labels are.
    labels: Vec<Placed>,
    /// Where the first panel begins.
    top: f64,
}

impl Drawing {
    fn new(plot: &Plot) -> Self {
        let strips = plot.panels.iter().flat_map(|panel| &panel.strips);
        let beside = strips.map(|strip| width(&strip.label)).fold(34.0, f64::max);
        let curves = || plot.panels.iter().filter_map(|panel| panel.curve.as_ref());
        let lines = curves().flat_map(|curve| &curve.lines).map(|line| width(&line.label));
        let (left, right) = (PAD + beside + 8.0, WIDE - PAD - lines.fold(0.0, f64::max) - 8.0);
        let time = Time::new(plot, left, right);
        let marks: Vec<(f64, &str)> =
            plot.marks.iter().map(|mark| (time.x(mark.at), mark.label.as_str())).collect();
        let labels = labels::place(&marks, WIDE - PAD);
        let rows = labels.iter().map(|label| label.row + 1).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "there are few rows")]
        let top = PAD + ROW * rows as f64;
        Self { out: String::new(), time, left, right, labels, top }
    }

    /// The whole height, and where the last panel ends.
    fn heights(&self, plot: &Plot) -> (f64, f64) {
        let panels: f64 = plot.panels.iter().map(|panel| height_of(panel) + BETWEEN).sum();
        let bottom = self.top + panels - BETWEEN;
        (bottom + ROW + PAD, bottom)
    }

    fn head(&mut self, plot: &Plot, height: f64) {
        let (wide, high) = (N(WIDE), N(height));
        let title = escaped(&plot.title);
        let blind = |strip: &Strip| strip.spans.iter().any(|span| span.tone == Tone::Blind);
        let hatch = plot.panels.iter().flat_map(|panel| &panel.strips).any(blind);
        let hatch = if hatch { HATCH } else { "" };
        let _ = write!(
            self.out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" \
             viewBox=\"0 0 {wide} {high}\" role=\"img\">\n<title>{title}</title>\n\
             <style>{STYLE}@media(prefers-color-scheme:dark){{{DARK}}}</style>{hatch}\n\
             <rect class=\"p\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
            N(WIDE - 1.0),
            N(height - 1.0),
        );
    }

    fn text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        let class = attribute(class);
        let (x, y, text) = (N(x), N(y), escaped(text));
        let _ = writeln!(self.out, "<text{class} x=\"{x}\" y=\"{y}\">{text}</text>");
    }

    fn path(&mut self, class: &str, d: &str) {
        if !d.is_empty() {
            let class = attribute(class);
            let _ = writeln!(self.out, "<path{class} d=\"{d}\"/>");
        }
    }

    /// The marks' lines, below everything else.
    fn marks(&mut self, plot: &Plot, bottom: f64) {
        for (mark, placed) in plot.marks.iter().zip(self.labels.clone()) {
            // Beside its label; below one that had to be moved over it.
            let beside = placed.text > placed.x;
            let from = self.row(placed.row) + if beside { 4.0 - ROW } else { 4.0 };
            let d = format!("M{} {}V{}", N(placed.x), N(from), N(bottom));
            self.path(&join("k", tint(mark.tone)), &d);
        }
    }

    fn mark_labels(&mut self, plot: &Plot) {
        for (mark, placed) in plot.marks.iter().zip(self.labels.clone()) {
            let place = (placed.text, self.row(placed.row));
            self.text(place, &join("h", tint(mark.tone)), &mark.label);
        }
    }

    /// The foot of a row of marks' labels.
    fn row(&self, row: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "there are few rows")]
        let up = row as f64;
        self.top - 5.0 - ROW * up
    }

    fn panel(&mut self, panel: &Panel, top: f64) {
        let mut y = top;
        if !panel.label.is_empty() {
            self.text((self.left, y + ROW - 4.0), "m h", &panel.label);
            y += ROW;
        }
        if let Some(curve) = &panel.curve {
            self.curve(curve, y);
            y += CURVE + BELOW;
        }
        for strip in &panel.strips {
            self.strip(strip, y);
            y += STRIP + GAP;
        }
    }

    fn curve(&mut self, curve: &Curve, top: f64) {
        let values = Values::new(curve, top, CURVE);
        let (left, right) = (self.left, self.right);
        let across = |y: f64| format!("M{} {}H{}", N(left), N(y), N(right));
        let ticks = values.ticks();
        self.path("g", &ticks.iter().map(|(y, _)| across(*y)).collect::<String>());
        for (y, label) in &ticks {
            self.text((left - 6.0, y + 4.0), "m e", label);
        }
        for line in &curve.lines {
            self.path(&join("l", tint(line.tone)), &across(values.y(line.value)));
        }
        let wanted: Vec<f64> = curve.lines.iter().map(|l| values.y(l.value) + 4.0).collect();
        let places = labels::apart(&wanted, top + 8.0, top + CURVE);
        for (line, y) in curve.lines.iter().zip(places) {
            self.text((right + 8.0, y), tint(line.tone), &line.label);
        }
        self.samples(curve, &values, top + CURVE);
    }

    fn samples(&mut self, curve: &Curve, values: &Values, foot: f64) {
        let mut traces: [Trace; 6] = Default::default();
        let [line, good, bad, hollow, failed, empty] = &mut traces;
        let mut broken = true;
        for dot in curve.samples.iter().filter(|dot| self.time.shows(dot.at)) {
            let x = self.time.x(dot.at);
            let value = match &dot.reading {
                Reading::Value(value) => *value,
                Reading::Missing(missing) => {
                    broken = true;
                    match missing {
                        Missing::Failed(_) => failed.shape(x, foot - 6.0, CROSS),
                        Missing::Empty(_) => empty.shape(x, foot - 6.0, RING),
                    }
                    continue;
                }
            };
            let y = values.y(value);
            if broken || !dot.joined {
                line.to(x, y);
            } else {
                line.line(x, y);
            }
            broken = false;
            if curve.condition.breached_by(value) {
                bad.dot(x, y);
            } else {
                good.dot(x, y);
            }
            if !dot.counts {
                hollow.dot(x, y);
            }
        }
        for (trace, class) in traces.into_iter().zip(["c", "d ok", "d bad", "d in", "", ""]) {
            self.path(class, &trace.into_d());
        }
    }

    fn strip(&mut self, strip: &Strip, top: f64) {
        self.text((self.left - 6.0, top + 12.5), "m e", &strip.label);
        for span in &strip.spans {
            let (from, to) = (self.time.x(span.from), self.time.x(span.to));
            if span.tone == Tone::Measure {
                self.measure(span, from, to, top);
            } else if to - from >= 0.5 {
                self.span(span, from, to, top);
            }
        }
    }

    fn span(&mut self, span: &Span, from: f64, to: f64, top: f64) {
        let wide = (to - from - 1.0).max(0.5);
        let (x, y, fill) = (N(from), N(top), fill(span.tone));
        let _ = writeln!(
            self.out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{STRIP}\" rx=\"2\" fill=\"{fill}\"/>",
            N(wide)
        );
        if width(&span.word) + 4.0 <= wide {
            let class = if span.tone == Tone::Breached { "s w" } else { "s" };
            self.text(((from + to - 1.0) / 2.0, top + 12.5), class, &span.word);
        }
    }

    /// An arrow with two heads, and how long it is.
    fn measure(&mut self, span: &Span, from: f64, to: f64, top: f64) {
        let y = N(top + STRIP / 2.0);
        let (x, end) = (N(from), N(to - 1.0));
        let (half, wide) = (f64::midpoint(from, to), width(&span.word));
        let inside = wide + 34.0 <= to - from;
        let line = match inside {
            true => {
                let (stop, go) = (N(half - wide / 2.0 - 5.0), N(half + wide / 2.0 + 5.0));
                format!("M{x} {y}H{stop}M{go} {y}H{end}")
            }
            false => format!("M{x} {y}H{end}"),
        };
        self.path("", &format!("{line}M{x} {y}l5-3m-5 3l5 3M{end} {y}l-5-3m5 3l-5 3"));
        let (at, class) = if inside { (half, "h t") } else { (to + 6.0, "h") };
        self.text((at, top + 12.5), class, &span.word);
    }

    fn axis(&mut self, bottom: f64) {
        let ticks = self.time.ticks();
        let mut trace = Trace::default();
        for (x, _) in &ticks {
            trace.shape(*x, bottom - GAP + 1.0, "v4m0-4");
        }
        self.path("", &trace.into_d());
        for (x, label) in ticks {
            self.text((x, bottom + ROW - 2.0), "m t", &label);
        }
    }
}

fn height_of(panel: &Panel) -> f64 {
    let label = if panel.label.is_empty() { 0.0 } else { ROW };
    let curve = if panel.curve.is_some() { CURVE + BELOW } else { 0.0 };
    #[expect(clippy::cast_precision_loss, reason = "there are few strips")]
    let strips = panel.strips.len() as f64 * (STRIP + GAP);
    label + curve + strips
}

/// The class of a line or a text that stands for good or bad.
fn tint(tone: Tone) -> &'static str {
    match tone {
        Tone::Breached | Tone::Pending => "bad",
        Tone::Ok => "good",
        Tone::Blind | Tone::Grace | Tone::Act | Tone::Plain | Tone::Measure => "",
    }
}

/// Light enough for dark words, but for what is breached.
fn fill(tone: Tone) -> &'static str {
    match tone {
        Tone::Ok => "#a3d9c3",
        Tone::Pending => "#f2c744",
        Tone::Breached => "#bd4500",
        Tone::Blind => "url(#x)",
        Tone::Grace => "#a9cdee",
        Tone::Act => "#dcb0cd",
        Tone::Plain | Tone::Measure => "#d9dee3",
    }
}

fn join(class: &str, more: &str) -> String {
    if more.is_empty() { class.to_owned() } else { format!("{class} {more}") }
}

fn attribute(class: &str) -> String {
    if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
