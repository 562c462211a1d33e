use super::*;

fn letter<'a>(subject: &'a str, body: &'a str) -> Letter<'a> {
    Letter {
        id: Uuid::from_u128(7),
        written_at: "2026-11-20T10:00:00.5Z".parse().unwrap(),
        to: "ann@example.com",
        subject,
        body,
    }
}

fn written(letter: Letter<'_>) -> String {
    let from = mailbox("Billing <billing@example.org>").unwrap();
    let reply_to = mailbox("help@example.org").unwrap();
    let to = address(letter.to).unwrap();
    let message = letter.message(&from, Some(&reply_to), &to).unwrap();
    String::from_utf8(message).unwrap()
}

#[test]
fn a_mail_is_the_same_to_the_last_byte_whenever_it_is_sent() {
    let mail = letter("Your plan is now Rep¹", "Hello.\n\nBye.\n");
    assert_eq!(written(mail), written(mail));
    assert_eq!(
        written(mail),
        "Message-ID: <00000000-0000-0000-0000-000000000007@example.org>\r\n\
         Date: Fri, 20 Nov 2026 10:00:00 +0000\r\n\
         From: Billing <billing@example.org>\r\n\
         To: ann@example.com\r\n\
         Subject: Your plan is now =?utf-8?b?UmVwwrk=?=\r\n\
         Auto-Submitted: auto-generated\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Reply-To: help@example.org\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         Hello.\r\n\r\nBye."
    );
}

#[test]
fn no_text_adds_a_header_or_ends_the_headers() {
    let names = |mail: &str| {
        let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
        let starts = headers
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']));
        let names = starts.map(|line| line.split(':').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let plain = names(&written(letter("Hello", "x")));
    for evil in [
        "Hello\r\nBcc: all@example.com",
        "Hello\nBcc: all@example.com",
        "Hello\r\n\r\nAnother body",
        "Hello\rBcc: all@example.com",
        "Rep¹\r\nBcc: all@example.com",
    ] {
        assert_eq!(names(&written(letter(evil, "x"))), plain, "{evil:?}");
    }
}

#[test]
fn an_address_is_one_and_nothing_beside_it() {
    for good in [
        "ann@example.com",
        "ann+bills@mail.example.co.uk",
        "a@[192.0.2.1]",
    ] {
        assert!(address(good).is_some(), "{good}");
    }
    let long = format!("{}@example.com", "a".repeat(ADDRESS_MAX));
    for bad in [
        "",
        "ann",
        "@example.com",
        "ann@",
        "Ann <ann@example.com>",
        "ann@example.com, ben@example.com",
        "ann@example.com>\r\nRCPT TO:<ben@example.com",
        "ann@example.com\n",
        "\"a b\"@example.com",
        "änn@example.com",
        long.as_str(),
    ] {
        assert!(address(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_sender_may_have_a_name_of_one_line() {
    for good in [
        "billing@example.org",
        "Billing <billing@example.org>",
        "\"B, Inc.\" <b@example.org>",
    ] {
        assert!(is_mailbox(good), "{good}");
    }
    for bad in [
        "Billing",
        "Billing <billing>",
        "B\r\nBcc: a@b.test <b@example.org>",
        "a@b.test, b@b.test",
    ] {
        assert!(!is_mailbox(bad), "{bad:?}");
    }
}
