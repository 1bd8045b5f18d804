//! One page as plain text and as HTML, from the same parts, so that the two
//! never say different things.

use maud::{DOCTYPE, Markup, html};

/// What a person reads, in the order in which they ask.
pub(super) struct Page {
    /// The subject without its mark.
    pub(super) title: String,
    /// How bad it is.
    pub(super) tone: Tone,
    /// What happened.
    pub(super) happened: Vec<Block>,
    /// What was done.
    pub(super) done: Vec<Block>,
    /// Is it over.
    pub(super) over: Vec<Block>,
    /// What you must do now.
    pub(super) todo: Vec<Block>,
    /// Who says so, and where there is more.
    pub(super) footer: String,
}

/// How bad it is; a colour in the HTML and nothing else.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Notice,
    Bad,
}

/// A part of a page.
pub(super) enum Block {
    /// A paragraph. `Code` between backticks is set as such.
    Text(String),
    /// Names and what they are.
    Facts(Vec<(String, String)>),
    /// One below the other, in order.
    List(Vec<String>),
}

impl Page {
    fn sections(&self) -> [(&'static str, &[Block]); 4] {
        [
            ("What happened", &self.happened),
            ("What was done", &self.done),
            ("Is it over", &self.over),
            ("What you must do now", &self.todo),
        ]
    }

    /// As plain text.
    pub(super) fn text(&self) -> String {
        let mut page = String::new();
        for (heading, blocks) in self.sections() {
            page += &format!("{heading}\n{}\n", "-".repeat(heading.len()));
            for block in blocks {
                page += &block.text();
                page += "\n";
            }
        }
        page + "-- \n" + &self.footer + "\n"
    }

    /// As a whole HTML document that a phone shows well.
    pub(super) fn html(&self) -> String {
        let bar = match self.tone {
            Tone::Good => "#2e7d32",
            Tone::Notice => "#8d6e00",
            Tone::Bad => "#b71c1c",
        };
        let font = "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif";
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    title { (self.title) }
                }
                body style={ "margin:0;padding:16px;background:#ffffff;color:#1f2328;" (font) } {
                    div style="max-width:640px;margin:0 auto" {
                        h1 style={ "margin:0 0 16px;padding:4px 0 4px 12px;border-left:4px solid "
                            (bar) ";font-size:18px;line-height:1.35" } { (self.title) }
                        @for (heading, blocks) in self.sections() {
                            h2 style="margin:20px 0 6px;font-size:14px;color:#57606a" { (heading) }
                            @for block in blocks { (block.html()) }
                        }
                        p style="margin:24px 0 0;padding-top:8px;border-top:1px solid #d0d7de;\
                                 font-size:13px;color:#57606a" { (self.footer) }
                    }
                }
            }
        };
        page.into_string()
    }
}

impl Block {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => format!("{text}\n"),
            Self::List(items) => items
                .iter()
                .zip(1..)
                .map(|(item, number)| format!("{number:>3}. {item}\n"))
                .collect(),
            Self::Facts(facts) => {
                let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
                let line = |(name, fact): &(String, String)| format!("  {name:<width$}  {fact}\n");
                facts.iter().map(line).collect()
            }
        }
    }

    fn html(&self) -> Markup {
        match self {
            Self::Text(text) => html! { p style="margin:0 0 8px" { (coded(text)) } },
            Self::List(items) => html! {
                ol style="margin:0 0 8px;padding-left:24px" {
                    @for item in items { li { (coded(item)) } }
                }
            },
            Self::Facts(facts) => html! {
                table style="margin:0 0 8px;border-collapse:collapse;font-size:15px" {
                    @for (name, fact) in facts {
                        tr {
                            td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a" {
                                (name)
                            }
                            td style="padding:2px 0;overflow-wrap:anywhere" { (coded(fact)) }
                        }
                    }
                }
            },
        }
    }
}

/// What stands between backticks as code; everything escaped.
fn coded(text: &str) -> Markup {
    // An odd one out is a backtick that somebody wrote.
    if !text.matches('`').count().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 {
                code style="font-family:ui-monospace,Menlo,Consolas,monospace;font-size:90%;\
                            background:#f6f8fa;padding:1px 4px;overflow-wrap:anywhere" { (part) }
            } @else { (part) }
        }
    }
}
