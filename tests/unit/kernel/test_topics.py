from neardup.settings import KafkaSettings
from neardup.topic_setup import topic_specs
from neardup.topics import Topics


def names(namespace: str) -> list[str]:
    return [spec.name for spec in topic_specs(Topics(namespace), KafkaSettings())]


def test_every_topic_is_set_up_once() -> None:
    topics = Topics("shop")
    properties = [name for name, value in vars(Topics).items() if isinstance(value, property)]
    assert sorted(names("shop")) == sorted(getattr(topics, name) for name in properties)
    assert len(set(names("shop"))) == len(names("shop"))


def test_namespaces_share_nothing() -> None:
    assert not set(names("shop")) & set(names("shop2"))
    assert Topics("shop").group("join") != Topics("shop2").group("join")
    assert all(name.startswith("shop.") for name in names("shop"))


def test_what_must_be_in_one_order_has_one_partition() -> None:
    specs = {spec.name: spec for spec in topic_specs(Topics("n"), KafkaSettings(partitions=7))}
    assert specs["n.proposals"].partitions == specs["n.ledger"].partitions == 1
    assert specs["n.embeddings.lsh"].partitions == specs["n.embeddings.score"].partitions == 7
    # A parked side is looked for in the partition of its embedding.
    assert specs["n.incomplete"].partitions == specs["n.images"].partitions == 7


def test_what_is_the_truth_is_kept_for_good() -> None:
    specs = {spec.name: spec for spec in topic_specs(Topics("n"), KafkaSettings(proposal_retention_hours=2))}
    assert specs["n.ledger"].config == {"retention.ms": "-1", "retention.bytes": "-1"}
    assert specs["n.images"].config["cleanup.policy"] == "compact"
    assert specs["n.proposals"].config == {"retention.ms": "7200000"}
    assert specs["n.embeddings.lsh"].config == {"message.timestamp.type": "LogAppendTime"}
