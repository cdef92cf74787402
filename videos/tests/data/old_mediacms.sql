-- The tables of MediaCMS 8 that have to do with media, and the columns of its models.
CREATE TABLE users_user (
    id serial PRIMARY KEY, username varchar(150) NOT NULL UNIQUE, logo varchar(100) NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '', name varchar(250) NOT NULL DEFAULT '', date_added timestamptz NOT NULL DEFAULT now(),
    is_featured boolean NOT NULL DEFAULT FALSE, is_approved boolean, title varchar(250) NOT NULL DEFAULT '',
    "advancedUser" boolean NOT NULL DEFAULT FALSE, media_count integer NOT NULL DEFAULT 0,
    notification_on_comments boolean NOT NULL DEFAULT TRUE, location varchar(250) NOT NULL DEFAULT '',
    is_editor boolean NOT NULL DEFAULT FALSE, is_manager boolean NOT NULL DEFAULT FALSE, allow_contact boolean NOT NULL DEFAULT FALSE
);
CREATE TABLE files_category (
    id serial PRIMARY KEY, uid varchar(36) NOT NULL UNIQUE DEFAULT gen_random_uuid()::text,
    add_date timestamptz NOT NULL DEFAULT now(), title varchar(100) NOT NULL, description text NOT NULL DEFAULT '',
    user_id integer REFERENCES users_user (id), is_global boolean NOT NULL DEFAULT FALSE, media_count integer NOT NULL DEFAULT 0,
    thumbnail varchar(100), listings_thumbnail varchar(400), is_rbac_category boolean NOT NULL DEFAULT FALSE,
    identity_provider_id integer, is_lms_course boolean NOT NULL DEFAULT FALSE, lti_platform_id integer, lti_context_id varchar(255)
);
CREATE TABLE files_tag (
    id serial PRIMARY KEY, title varchar(100) NOT NULL UNIQUE, user_id integer REFERENCES users_user (id),
    media_count integer NOT NULL DEFAULT 0, listings_thumbnail varchar(400)
);
CREATE TABLE files_media (
    id serial PRIMARY KEY, add_date timestamptz, allow_download boolean NOT NULL DEFAULT TRUE, channel_id integer,
    description text NOT NULL DEFAULT '', dislikes integer NOT NULL DEFAULT 0, duration integer NOT NULL DEFAULT 0,
    edit_date timestamptz NOT NULL DEFAULT now(), enable_comments boolean NOT NULL DEFAULT TRUE,
    encoding_status varchar(20) NOT NULL DEFAULT 'success', featured boolean NOT NULL DEFAULT FALSE,
    friendly_token varchar(150) NOT NULL, hls_file varchar(1000) NOT NULL DEFAULT '', is_reviewed boolean NOT NULL DEFAULT TRUE,
    license_id integer, likes integer NOT NULL DEFAULT 1, listable boolean NOT NULL DEFAULT TRUE, md5sum varchar(50),
    media_file varchar(500) NOT NULL, media_info text NOT NULL DEFAULT '', media_type varchar(20) NOT NULL DEFAULT 'video',
    password varchar(100) NOT NULL DEFAULT '', preview_file_path varchar(500) NOT NULL DEFAULT '', poster varchar(500) NOT NULL DEFAULT '',
    reported_times integer NOT NULL DEFAULT 0, search tsvector, size varchar(20), sprites varchar(500) NOT NULL DEFAULT '',
    state varchar(20) NOT NULL DEFAULT 'public', title varchar(100) NOT NULL, thumbnail varchar(500) NOT NULL DEFAULT '',
    thumbnail_time double precision, uid uuid NOT NULL DEFAULT gen_random_uuid(), uploaded_thumbnail varchar(500) NOT NULL DEFAULT '',
    uploaded_poster varchar(500) NOT NULL DEFAULT '', user_id integer NOT NULL REFERENCES users_user (id),
    user_featured boolean NOT NULL DEFAULT FALSE, video_height integer NOT NULL DEFAULT 1, views integer NOT NULL DEFAULT 1,
    allow_whisper_transcribe boolean NOT NULL DEFAULT FALSE, allow_whisper_transcribe_and_translate boolean NOT NULL DEFAULT FALSE
);
CREATE TABLE files_media_category (
    id serial PRIMARY KEY, media_id integer NOT NULL REFERENCES files_media (id), category_id integer NOT NULL REFERENCES files_category (id)
);
CREATE TABLE files_media_tags (
    id serial PRIMARY KEY, media_id integer NOT NULL REFERENCES files_media (id), tag_id integer NOT NULL REFERENCES files_tag (id)
);
CREATE TABLE files_playlist (
    id serial PRIMARY KEY, add_date timestamptz, description text NOT NULL DEFAULT '', friendly_token varchar(12) NOT NULL,
    title varchar(100) NOT NULL, uid uuid NOT NULL DEFAULT gen_random_uuid(), user_id integer NOT NULL REFERENCES users_user (id)
);
CREATE TABLE files_playlistmedia (
    id serial PRIMARY KEY, action_date timestamptz NOT NULL DEFAULT now(), media_id integer NOT NULL REFERENCES files_media (id),
    playlist_id integer NOT NULL REFERENCES files_playlist (id), ordering integer NOT NULL DEFAULT 1
);
CREATE TABLE files_language (id serial PRIMARY KEY, code varchar(30) NOT NULL, title varchar(100) NOT NULL);
CREATE TABLE files_subtitle (
    id serial PRIMARY KEY, language_id integer NOT NULL REFERENCES files_language (id),
    media_id integer NOT NULL REFERENCES files_media (id), subtitle_file varchar(500) NOT NULL, user_id integer REFERENCES users_user (id)
);
CREATE TABLE files_videochapterdata (
    id serial PRIMARY KEY, data jsonb NOT NULL, media_id integer NOT NULL UNIQUE REFERENCES files_media (id)
);
CREATE TABLE files_comment (
    id serial PRIMARY KEY, text text NOT NULL, media_id integer NOT NULL REFERENCES files_media (id), user_id integer NOT NULL
);
