use super::{Hole, Piece, Source, Text};

fn hole(source: Source) -> Piece {
    Piece::Hole(Hole { source, optional: false })
}

#[test]
fn what_is_no_template_is_refused() {
    for (text, why) in [
        ("{", "without its pair"),
        ("}", "without its pair"),
        ("a{subject", "without its pair"),
        ("subject}", "without its pair"),
        ("{sub{ject}", "without its pair"),
        ("{}", "nothing fills"),
        ("{?}", "nothing fills"),
        ("{ subject }", "nothing fills"),
        ("{subjet}", "nothing fills"),
        ("{credential}", "nothing fills"),
        ("{credential.}", "nothing fills"),
        ("{secret.x}", "nothing fills"),
        ("{header.a b}", "nothing fills"),
        ("{random.0}", "no whole number"),
        ("{random.257}", "no whole number"),
        ("{random.x}", "no whole number"),
        ("{body./a~2}", "no pointer"),
    ] {
        let wrong = Text::parse(text).expect_err(text);
        assert!(wrong.what.contains(why), "{text}: {wrong:?}");
        assert!(wrong.hint.is_some(), "{text}");
    }
}

#[test]
fn a_hole_says_where_it_is_filled_from() {
    for (text, source) in [
        ("{credential.id}", Source::Credential("id".into())),
        ("{credential./a/b}", Source::Credential("/a/b".into())),
        ("{body.a.b}", Source::Body("a.b".into())),
        ("{path.user}", Source::Path("user".into())),
        ("{query.q}", Source::Query("q".into())),
        ("{header.X-Key}", Source::Header("x-key".into())),
        ("{random.16}", Source::Random(16)),
        ("{token.access}", Source::Token("access".into())),
        ("{token.access.expires}", Source::Expires("access".into())),
        ("{token.access.lifetime}", Source::Lifetime("access".into())),
        ("{request.id}", Source::RequestId),
        ("{scopes}", Source::Scopes),
    ] {
        assert_eq!(Text::parse(text).expect(text), Text(vec![hole(source)]));
    }
    let optional = Text::parse("{credential.tenant?}").expect("a template");
    assert!(optional.holes().all(|hole| hole.optional));
}

#[test]
fn doubled_braces_are_braces_and_what_is_written_reads_the_same() {
    let text = Text::parse("a{{b}}{subject}{{{{{now?}}}").expect("a template");
    assert_eq!(text.0.first(), Some(&Piece::Literal("a{b}".into())));
    for text in
        ["", "plain", "{{}}", "a{{b}}{subject}{{{{{now?}}}", "{token.a.lifetime?} {random.3}", "\u{e9}{uuid}"]
    {
        let read = Text::parse(text).expect(text);
        assert_eq!(read.written(), text.to_owned());
        assert_eq!(Text::parse(&read.written()).expect(text), read);
    }
}
