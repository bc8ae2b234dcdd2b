//! A fact about a send, as a token vouches for it.

use schemas::token::Token;
use schemas::{Actor, Feedback, Millis, Outcome, Status};

/// Feedback from a mail program or a customer.
pub(crate) fn of(token: &Token, status: Status, actor: Actor, now: Millis) -> Feedback {
    // A machine's open and the customer's are two facts; the same open twice is one.
    let by = if actor == Actor::Unspecified { "" } else { actor.as_str() };
    let event_id = format!("{}/{status}/{by}", token.send_id);
    Feedback {
        event_id: event_id.trim_end_matches('/').to_owned(),
        customer_id: token.customer_id.clone(),
        occurred_at: now,
        send_id: Some(token.send_id.to_string()),
        channel: token.channel.clone(),
        status,
        actor,
        provider: "tracker".to_owned(),
        provider_id: None,
        code: None,
        outcome: Outcome::Unspecified,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use schemas::Id;
    use schemas::token::Kind;

    use super::*;

    pub(crate) fn token(kind: Kind, target: &str) -> Token {
        let send_id = Id::of_instance("c1", "", "", "");
        let (customer_id, channel) = ("c1".to_owned(), "email".to_owned());
        Token { kind, send_id, customer_id, channel, expires_at: 1_000_000, target: target.to_owned() }
    }

    #[test]
    fn the_same_fact_has_the_same_id_and_another_actor_another() {
        let token = token(Kind::Open, "");
        let human = of(&token, Status::Opened, Actor::Human, 1);
        assert_eq!(human.event_id, of(&token, Status::Opened, Actor::Human, 2).event_id);
        assert_ne!(human.event_id, of(&token, Status::Opened, Actor::Machine, 1).event_id);
        assert_eq!(
            of(&token, Status::Unsubscribed, Actor::Unspecified, 1).event_id,
            format!("{}/UNSUBSCRIBED", token.send_id)
        );
    }
}
