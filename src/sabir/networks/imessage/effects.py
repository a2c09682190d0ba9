"""What Apple calls the effects that a message can be sent with. Pure."""

from typing import Final

from sabir.networks.imessage.text import one_line

INVISIBLE_INK: Final = "com.apple.MobileSMS.expressivesend.invisibleink"
_KNOWN: Final = {
    "com.apple.MobileSMS.expressivesend.impact": "Slam",
    "com.apple.MobileSMS.expressivesend.loud": "Loud",
    "com.apple.MobileSMS.expressivesend.gentle": "Gentle",
    INVISIBLE_INK: "Invisible Ink",
    "com.apple.messages.effect.CKEchoEffect": "Echo",
    "com.apple.messages.effect.CKSpotlightEffect": "Spotlight",
    "com.apple.messages.effect.CKHappyBirthdayEffect": "Balloons",
    "com.apple.messages.effect.CKConfettiEffect": "Confetti",
    "com.apple.messages.effect.CKHeartEffect": "Love",
    "com.apple.messages.effect.CKLasersEffect": "Lasers",
    "com.apple.messages.effect.CKFireworksEffect": "Fireworks",
    "com.apple.messages.effect.CKShootingStarEffect": "Shooting Star",
    "com.apple.messages.effect.CKSparklesEffect": "Celebration",
}


def name_of(effect: object) -> str:
    """Return an effect's name for people; empty without an effect."""
    if not isinstance(effect, str) or not effect:
        return ""
    return _KNOWN.get(effect) or one_line(effect.rpartition(".")[2])[:40] or "an effect"
