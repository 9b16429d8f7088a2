SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA grapevine;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE grapevine.authority (
    singleton integer NOT NULL,
    id text NOT NULL,
    cluster_key bytea NOT NULL,
    schema_version integer NOT NULL,
    CONSTRAINT authority_cluster_key_check CHECK ((length(cluster_key) = 32)),
    CONSTRAINT authority_singleton_check CHECK ((singleton = 1))
);
CREATE TABLE grapevine.entity (
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    body text NOT NULL
);
CREATE TABLE grapevine.entity_reference (
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    field text NOT NULL COLLATE pg_catalog."C",
    target_kind text NOT NULL COLLATE pg_catalog."C",
    target_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE grapevine.entity_tag (
    tag text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE grapevine.entity_unique (
    kind text NOT NULL COLLATE pg_catalog."C",
    field text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE grapevine.head (
    singleton integer NOT NULL,
    epoch bigint NOT NULL,
    tag bytea NOT NULL,
    revision bigint NOT NULL,
    chain bytea NOT NULL,
    predecessor bytea NOT NULL,
    CONSTRAINT head_chain_check CHECK ((length(chain) = 32)),
    CONSTRAINT head_epoch_check CHECK ((epoch >= 1)),
    CONSTRAINT head_predecessor_check CHECK ((length(predecessor) = 32)),
    CONSTRAINT head_revision_check CHECK ((revision >= 0)),
    CONSTRAINT head_singleton_check CHECK ((singleton = 1)),
    CONSTRAINT head_tag_check CHECK ((length(tag) = 8))
)
WITH (fillfactor='10');
CREATE TABLE grapevine.keyring (
    singleton integer NOT NULL,
    counter bigint NOT NULL,
    author text NOT NULL,
    tag bytea NOT NULL,
    wrapped bytea NOT NULL,
    CONSTRAINT keyring_counter_check CHECK ((counter >= 1)),
    CONSTRAINT keyring_singleton_check CHECK ((singleton = 1)),
    CONSTRAINT keyring_tag_check CHECK ((length(tag) = 8)),
    CONSTRAINT keyring_wrapped_check CHECK (((length(wrapped) >= 1) AND (length(wrapped) <= 65536)))
);
CREATE TABLE grapevine.log (
    revision bigint NOT NULL,
    epoch bigint NOT NULL,
    tag bytea NOT NULL,
    write_id bytea NOT NULL,
    predecessor bytea NOT NULL,
    chain bytea NOT NULL,
    body bytea NOT NULL,
    committed_at double precision NOT NULL,
    CONSTRAINT log_chain_check CHECK ((length(chain) = 32)),
    CONSTRAINT log_predecessor_check CHECK ((length(predecessor) = 32)),
    CONSTRAINT log_tag_check CHECK ((length(tag) = 8)),
    CONSTRAINT log_write_id_check CHECK ((length(write_id) = 16))
);
CREATE TABLE grapevine.migration (
    number integer NOT NULL,
    phase text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at double precision NOT NULL,
    CONSTRAINT migration_phase_check CHECK ((phase = ANY (ARRAY['pre'::text, 'post'::text])))
);
CREATE TABLE grapevine.node (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    generation bigint NOT NULL,
    address text NOT NULL
);
INSERT INTO grapevine.authority VALUES (1, 'f8eca079-e156-4ee7-a529-f12d20b7d545', '\xedde6df1a83a8908af289ff58aa6390958a1991d3b66d92909b4fecf2f74fb9d', 2);
INSERT INTO grapevine.entity VALUES ('routes', 'bbffc409-543f-49ca-8497-5c2e66ef523f', '{"created_at":1795703143,"destinations":null,"headers":null,"hosts":null,"https_redirect_status_code":426,"id":"bbffc409-543f-49ca-8497-5c2e66ef523f","methods":null,"name":"r","path_handling":"v0","paths":["/r"],"preserve_host":false,"protocols":["http","https"],"regex_priority":0,"request_buffering":true,"response_buffering":true,"service":{"id":"4d21a39f-ff8b-4f5d-8575-25d31bdde9bf"},"snis":null,"sources":null,"strip_path":true,"tags":null,"updated_at":1795703143}');
INSERT INTO grapevine.entity VALUES ('services', '4d21a39f-ff8b-4f5d-8575-25d31bdde9bf', '{"ca_certificates":null,"client_certificate":null,"connect_timeout":60000,"created_at":1795703143,"enabled":true,"host":"example.com","id":"4d21a39f-ff8b-4f5d-8575-25d31bdde9bf","name":"s","path":null,"port":80,"protocol":"http","read_timeout":60000,"retries":1,"tags":["a","b"],"tls_verify":null,"tls_verify_depth":null,"updated_at":1795703144,"write_timeout":60000}');
INSERT INTO grapevine.entity_reference VALUES ('routes', 'bbffc409-543f-49ca-8497-5c2e66ef523f', 'service', 'services', '4d21a39f-ff8b-4f5d-8575-25d31bdde9bf');
INSERT INTO grapevine.entity_tag VALUES ('a', 'services', '4d21a39f-ff8b-4f5d-8575-25d31bdde9bf');
INSERT INTO grapevine.entity_tag VALUES ('b', 'services', '4d21a39f-ff8b-4f5d-8575-25d31bdde9bf');
INSERT INTO grapevine.entity_unique VALUES ('routes', 'name', 'r', 'bbffc409-543f-49ca-8497-5c2e66ef523f');
INSERT INTO grapevine.entity_unique VALUES ('services', 'name', 's', '4d21a39f-ff8b-4f5d-8575-25d31bdde9bf');
INSERT INTO grapevine.head VALUES (1, 1, '\x84af6cc0f6cca5e0', 4, '\x556690e7412d5d3c9974aed0947e2b26d205a529727a282800d6c0698236bf6f', '\xc51f9b8cba5fe13a8ca3c17a05e77542552fa1ef08a39c84a3d2f9662282f376');
INSERT INTO grapevine.log VALUES (1, 1, '\x84af6cc0f6cca5e0', '\x64a8e5f95f8ab7ca1d96c74b407c06f6', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x4eb2a037e03955a71700d94a796408fb1097c0d72e25479f123ca0b720913289', '\x94c41064a8e5f95f8ab7ca1d96c74b407c06f6cb41dac21059feb4d0a36f6c649293a87365727669636573d92434643231613339662d666638622d346635642d383537352d323564333162646465396266da016f7b2263615f636572746966696361746573223a6e756c6c2c22636c69656e745f6365727469666963617465223a6e756c6c2c22636f6e6e6563745f74696d656f7574223a36303030302c22637265617465645f6174223a313739353730333134332c22656e61626c6564223a747275652c22686f7374223a226578616d706c652e636f6d222c226964223a2234643231613339662d666638622d346635642d383537352d323564333162646465396266222c226e616d65223a2273222c2270617468223a6e756c6c2c22706f7274223a38302c2270726f746f636f6c223a2268747470222c22726561645f74696d656f7574223a36303030302c2272657472696573223a352c2274616773223a5b2261222c2262225d2c22746c735f766572696679223a6e756c6c2c22746c735f7665726966795f6465707468223a6e756c6c2c22757064617465645f6174223a313739353730333134332c2277726974655f74696d656f7574223a36303030307d93a6726f75746573d92462626666633430392d353433662d343963612d383439372d356332653636656635323366da01d67b22637265617465645f6174223a313739353730333134332c2264657374696e6174696f6e73223a6e756c6c2c2268656164657273223a6e756c6c2c22686f737473223a6e756c6c2c2268747470735f72656469726563745f7374617475735f636f6465223a3432362c226964223a2262626666633430392d353433662d343963612d383439372d356332653636656635323366222c226d6574686f6473223a6e756c6c2c226e616d65223a2272222c22706174685f68616e646c696e67223a227630222c227061746873223a5b222f72225d2c2270726573657276655f686f7374223a66616c73652c2270726f746f636f6c73223a5b2268747470222c226874747073225d2c2272656765785f7072696f72697479223a302c22726571756573745f627566666572696e67223a747275652c22726573706f6e73655f627566666572696e67223a747275652c2273657276696365223a7b226964223a2234643231613339662d666638622d346635642d383537352d323564333162646465396266227d2c22736e6973223a6e756c6c2c22736f7572636573223a6e756c6c2c2273747269705f70617468223a747275652c2274616773223a6e756c6c2c22757064617465645f6174223a313739353730333134337d', 1795703143.979786);
INSERT INTO grapevine.log VALUES (2, 1, '\x84af6cc0f6cca5e0', '\xcb001d7f4c9a3c9dd09d16099434a057', '\x4eb2a037e03955a71700d94a796408fb1097c0d72e25479f123ca0b720913289', '\x78d0403eb2d515809856416c4ddc2323c616a96f58786864b2ee38d21f1f5ff3', '\x94c410cb001d7f4c9a3c9dd09d16099434a057cb41dac2105a05298ea36f6c649193a87365727669636573d92432383736356163642d623338392d343233372d396334322d363363626465626636386230da01607b2263615f636572746966696361746573223a6e756c6c2c22636c69656e745f6365727469666963617465223a6e756c6c2c22636f6e6e6563745f74696d656f7574223a36303030302c22637265617465645f6174223a313739353730333134342c22656e61626c6564223a747275652c22686f7374223a2268222c226964223a2232383736356163642d623338392d343233372d396334322d363363626465626636386230222c226e616d65223a2274222c2270617468223a6e756c6c2c22706f7274223a38302c2270726f746f636f6c223a2268747470222c22726561645f74696d656f7574223a36303030302c2272657472696573223a352c2274616773223a6e756c6c2c22746c735f766572696679223a6e756c6c2c22746c735f7665726966795f6465707468223a6e756c6c2c22757064617465645f6174223a313739353730333134342c2277726974655f74696d656f7574223a36303030307d', 1795703144.0806613);
INSERT INTO grapevine.log VALUES (3, 1, '\x84af6cc0f6cca5e0', '\xaf7967509abf84b853d2689c7f9ee8a9', '\x78d0403eb2d515809856416c4ddc2323c616a96f58786864b2ee38d21f1f5ff3', '\xc51f9b8cba5fe13a8ca3c17a05e77542552fa1ef08a39c84a3d2f9662282f376', '\x94c410af7967509abf84b853d2689c7f9ee8a9cb41dac2105a062914a36f6c649193a87365727669636573d92434643231613339662d666638622d346635642d383537352d323564333162646465396266da016f7b2263615f636572746966696361746573223a6e756c6c2c22636c69656e745f6365727469666963617465223a6e756c6c2c22636f6e6e6563745f74696d656f7574223a36303030302c22637265617465645f6174223a313739353730333134332c22656e61626c6564223a747275652c22686f7374223a226578616d706c652e636f6d222c226964223a2234643231613339662d666638622d346635642d383537352d323564333162646465396266222c226e616d65223a2273222c2270617468223a6e756c6c2c22706f7274223a38302c2270726f746f636f6c223a2268747470222c22726561645f74696d656f7574223a36303030302c2272657472696573223a312c2274616773223a5b2261222c2262225d2c22746c735f766572696679223a6e756c6c2c22746c735f7665726966795f6465707468223a6e756c6c2c22757064617465645f6174223a313739353730333134342c2277726974655f74696d656f7574223a36303030307d', 1795703144.0962572);
INSERT INTO grapevine.log VALUES (4, 1, '\x84af6cc0f6cca5e0', '\x39de133c60b9f97e82d6142560c0704e', '\xc51f9b8cba5fe13a8ca3c17a05e77542552fa1ef08a39c84a3d2f9662282f376', '\x556690e7412d5d3c9974aed0947e2b26d205a529727a282800d6c0698236bf6f', '\x94c41039de133c60b9f97e82d6142560c0704ecb41dac2105a06c759a36f6c649193a87365727669636573d92432383736356163642d623338392d343233372d396334322d363363626465626636386230c0', 1795703144.1059172);
INSERT INTO grapevine.migration VALUES (1, 'pre', 'initial', '30e430e49549613a6c1a11b91165b630361ed8e7415f592dcee0e5060438ad47', 1795703143.9061255);
INSERT INTO grapevine.migration VALUES (2, 'pre', 'keyring', '05bbc837f55715b74f6742c86f186b0bcbed7511569545b82e0ee361b9d9c5cc', 1795703143.9265664);
INSERT INTO grapevine.node VALUES ('8f1f6e4e-0000-4000-8000-000000000001', '', 7, '');
ALTER TABLE ONLY grapevine.authority
    ADD CONSTRAINT authority_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY grapevine.entity
    ADD CONSTRAINT entity_pkey PRIMARY KEY (kind, id);
ALTER TABLE ONLY grapevine.entity_reference
    ADD CONSTRAINT entity_reference_pkey PRIMARY KEY (kind, id, field);
ALTER TABLE ONLY grapevine.entity_tag
    ADD CONSTRAINT entity_tag_pkey PRIMARY KEY (tag, kind, id);
ALTER TABLE ONLY grapevine.entity_unique
    ADD CONSTRAINT entity_unique_pkey PRIMARY KEY (kind, field, value);
ALTER TABLE ONLY grapevine.head
    ADD CONSTRAINT head_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY grapevine.keyring
    ADD CONSTRAINT keyring_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY grapevine.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (revision);
ALTER TABLE ONLY grapevine.log
    ADD CONSTRAINT log_write_id_key UNIQUE (write_id);
ALTER TABLE ONLY grapevine.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number, phase);
ALTER TABLE ONLY grapevine.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (id);
CREATE INDEX entity_reference_to_target ON grapevine.entity_reference USING btree (target_kind, target_id, kind, id);
CREATE INDEX entity_tag_of_entity ON grapevine.entity_tag USING btree (kind, id);
CREATE INDEX entity_unique_of_entity ON grapevine.entity_unique USING btree (kind, id);
ALTER TABLE ONLY grapevine.entity_reference
    ADD CONSTRAINT entity_reference_kind_id_fkey FOREIGN KEY (kind, id) REFERENCES grapevine.entity(kind, id);
ALTER TABLE ONLY grapevine.entity_reference
    ADD CONSTRAINT entity_reference_target_kind_target_id_fkey FOREIGN KEY (target_kind, target_id) REFERENCES grapevine.entity(kind, id);
ALTER TABLE ONLY grapevine.entity_tag
    ADD CONSTRAINT entity_tag_kind_id_fkey FOREIGN KEY (kind, id) REFERENCES grapevine.entity(kind, id);
ALTER TABLE ONLY grapevine.entity_unique
    ADD CONSTRAINT entity_unique_kind_id_fkey FOREIGN KEY (kind, id) REFERENCES grapevine.entity(kind, id);
