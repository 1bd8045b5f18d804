//! Tables without borders, as wide as their reader.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};

use crate::cli::out::Reader;

/// Rows under a header, columns two spaces apart, wrapped to the reader's width.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    reader: &Reader,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header).add_rows(rows);
    if let Ok(width) = u16::try_from(reader.width) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.trim_fmt();
    text + "\n"
}
