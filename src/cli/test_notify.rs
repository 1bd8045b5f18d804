//! `test-notify`: a test message through every channel, and how each fared.

use crate::{
    api::json::ChannelReport,
    cli::{
        client::Client,
        exit::{Exit, Failure},
        out::Out,
        show::{style, words::pad},
    },
};

/// Sends and reports. One that failed makes the whole fail.
pub(super) async fn test_notify(client: &Client, out: &Out) -> Result<Exit, Failure> {
    let reports = client.test_notify().await?;
    if reports.is_empty() {
        let hint = "add [email] to the configuration and restart";
        return Err(Failure::new(Exit::Failed, "no_channel", "no channel is configured", hint));
    }
    if out.json {
        out.document(&reports)?;
    } else {
        out.text(&lines(&reports))?;
    }
    let all_taken = reports.iter().all(|report| report.ok);
    Ok(if all_taken { Exit::Done } else { Exit::Failed })
}

fn lines(reports: &[ChannelReport]) -> String {
    let widest = |text: fn(&ChannelReport) -> &str| {
        reports.iter().map(|report| text(report).chars().count()).max().unwrap_or(0)
    };
    let (channels, recipients) = (widest(|report| &report.channel), widest(|report| &report.to));
    let line = |report: &ChannelReport| {
        let how = if report.ok { style::good("taken ") } else { style::bad("failed") };
        let (channel, to) = (pad(&report.channel, channels), pad(&report.to, recipients));
        format!("{channel}  {to}  {how}  {}\n", report.message)
    };
    reports.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn each_recipient_has_a_line_with_the_servers_own_words() {
        let report = |to: &str, ok: bool, message: &str| ChannelReport {
            channel: "email".into(),
            to: to.into(),
            ok,
            message: message.into(),
        };
        let reports = [
            report("ops@example.com", true, "250 2.0.0 Ok: queued as 4F1"),
            report("gone@example.com", false, "550 5.1.1 no such user"),
        ];
        insta::assert_snapshot!(strip_str(&lines(&reports)).to_string(), @r"
        email  ops@example.com   taken   250 2.0.0 Ok: queued as 4F1
        email  gone@example.com  failed  550 5.1.1 no such user
        ");
    }
}
