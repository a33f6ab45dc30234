//! Reply codes and texts.

use leveret_amqp::ReplyCode;

#[test]
fn codes_and_names() {
    assert_eq!(ReplyCode::ALL.len(), 19);
    for code in ReplyCode::ALL {
        assert_eq!(ReplyCode::from_code(code.code()), Some(*code));
    }
    assert_eq!(ReplyCode::from_code(0), None);
    assert_eq!((ReplyCode::NotFound.code(), ReplyCode::NotFound.name()), (404, "NOT_FOUND"));
    assert_eq!((ReplyCode::InternalError.code(), ReplyCode::InternalError.name()), (541, "INTERNAL_ERROR"));
}

#[test]
fn how_far_a_code_reaches() {
    let closing: Vec<u16> =
        ReplyCode::ALL.iter().filter(|code| code.closes_connection()).map(|code| code.code()).collect();
    assert_eq!(closing, [320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541]);
}

#[test]
fn texts_have_name_and_explanation() {
    let text = ReplyCode::NotFound.reply_text("no queue 'q' in vhost '/'");
    assert_eq!(text, "NOT_FOUND - no queue 'q' in vhost '/'");
}

#[test]
fn texts_are_cut_between_characters() {
    let text = ReplyCode::NotFound.reply_text(&"é".repeat(200));
    assert_eq!(text.len(), 254);
    assert!(text.ends_with('é'));
    assert_eq!(ReplyCode::NotFound.reply_text(&"x".repeat(300)).len(), 255);
}
