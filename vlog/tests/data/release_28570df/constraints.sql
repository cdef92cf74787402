ALTER TABLE ONLY public.archive_entries
    ADD CONSTRAINT archive_entries_pkey PRIMARY KEY (video_id);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_name_key UNIQUE (name);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_permission_id_0cd325b0_uniq UNIQUE (group_id, permission_id);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_codename_01ab375a_uniq UNIQUE (content_type_id, codename);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_group_id_94350c0c_uniq UNIQUE (user_id, group_id);

ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_permission_id_14a6b632_uniq UNIQUE (user_id, permission_id);

ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_username_key UNIQUE (username);

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.cues
    ADD CONSTRAINT cues_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.daily_views
    ADD CONSTRAINT daily_views_pkey PRIMARY KEY (video_id, day);

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_app_label_model_76bd3d3b_uniq UNIQUE (app_label, model);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_session
    ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT ix_tags_slug UNIQUE (slug);

ALTER TABLE ONLY public.transcoding_jobs
    ADD CONSTRAINT ix_transcoding_jobs_video_id UNIQUE (video_id);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT ix_workers_worker_id UNIQUE (worker_id);

ALTER TABLE ONLY public.playback_sessions
    ADD CONSTRAINT playback_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quality_progress
    ADD CONSTRAINT quality_progress_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.search_documents
    ADD CONSTRAINT search_documents_pkey PRIMARY KEY (video_id);

ALTER TABLE ONLY public.storage_entries
    ADD CONSTRAINT storage_entries_pkey PRIMARY KEY (video_id);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.transcoding_attempts
    ADD CONSTRAINT transcoding_attempts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.transcoding_chunks
    ADD CONSTRAINT transcoding_chunks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.transcoding_jobs
    ADD CONSTRAINT transcoding_jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.transcriptions
    ADD CONSTRAINT transcriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.transcriptions
    ADD CONSTRAINT transcriptions_video_id_key UNIQUE (video_id);

ALTER TABLE ONLY public.transcoding_attempts
    ADD CONSTRAINT uq_attempt UNIQUE (chunk_id, number);

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT uq_categories_slug UNIQUE (slug);

ALTER TABLE ONLY public.transcoding_chunks
    ADD CONSTRAINT uq_chunk UNIQUE (job_id, kind, tier, first_segment);

ALTER TABLE ONLY public.quality_progress
    ADD CONSTRAINT uq_job_quality UNIQUE (job_id, quality);

ALTER TABLE ONLY public.playback_sessions
    ADD CONSTRAINT uq_playback_sessions_session_token UNIQUE (session_token);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT uq_tags_name UNIQUE (name);

ALTER TABLE ONLY public.video_qualities
    ADD CONSTRAINT uq_video_quality UNIQUE (video_id, quality);

ALTER TABLE ONLY public.videos
    ADD CONSTRAINT uq_videos_slug UNIQUE (slug);

ALTER TABLE ONLY public.viewers
    ADD CONSTRAINT uq_viewers_session_id UNIQUE (session_id);

ALTER TABLE ONLY public.video_qualities
    ADD CONSTRAINT video_qualities_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.video_tags
    ADD CONSTRAINT video_tags_pkey PRIMARY KEY (video_id, tag_id);

ALTER TABLE ONLY public.videos
    ADD CONSTRAINT videos_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.viewers
    ADD CONSTRAINT viewers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.worker_api_keys
    ADD CONSTRAINT worker_api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

CREATE INDEX auth_group_name_a6ea08ec_like ON public.auth_group USING btree (name varchar_pattern_ops);

CREATE INDEX auth_group_permissions_group_id_b120cbf9 ON public.auth_group_permissions USING btree (group_id);

CREATE INDEX auth_group_permissions_permission_id_84c5c92e ON public.auth_group_permissions USING btree (permission_id);

CREATE INDEX auth_permission_content_type_id_2f476e4b ON public.auth_permission USING btree (content_type_id);

CREATE INDEX auth_user_groups_group_id_97559544 ON public.auth_user_groups USING btree (group_id);

CREATE INDEX auth_user_groups_user_id_6a12ed8b ON public.auth_user_groups USING btree (user_id);

CREATE INDEX auth_user_user_permissions_permission_id_1fbb5f2c ON public.auth_user_user_permissions USING btree (permission_id);

CREATE INDEX auth_user_user_permissions_user_id_a95ead1b ON public.auth_user_user_permissions USING btree (user_id);

CREATE INDEX auth_user_username_6821ab7c_like ON public.auth_user USING btree (username varchar_pattern_ops);

CREATE INDEX django_admin_log_content_type_id_c4bce8eb ON public.django_admin_log USING btree (content_type_id);

CREATE INDEX django_admin_log_user_id_c564eba6 ON public.django_admin_log USING btree (user_id);

CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session USING btree (expire_date);

CREATE INDEX django_session_session_key_c0390e0f_like ON public.django_session USING btree (session_key varchar_pattern_ops);

CREATE INDEX ix_archive_entries_slug ON public.archive_entries USING btree (slug);

CREATE INDEX ix_cues_video_id_start ON public.cues USING btree (video_id, start);

CREATE INDEX ix_cues_words ON public.cues USING gin (public.search_words(text));

CREATE INDEX ix_daily_views_day ON public.daily_views USING btree (day);

CREATE INDEX ix_playback_sessions_open ON public.playback_sessions USING btree (id) WHERE (ended_at IS NULL);

CREATE INDEX ix_playback_sessions_stale ON public.playback_sessions USING btree (video_id, started_at) WHERE (NOT rolled_up);

CREATE INDEX ix_playback_sessions_started_at ON public.playback_sessions USING btree (started_at);

CREATE INDEX ix_playback_sessions_video_id ON public.playback_sessions USING btree (video_id);

CREATE INDEX ix_playback_sessions_viewer_id ON public.playback_sessions USING btree (viewer_id);

CREATE INDEX ix_quality_progress_job_id ON public.quality_progress USING btree (job_id);

CREATE INDEX ix_search_documents_document ON public.search_documents USING gin (document);

CREATE INDEX ix_transcoding_attempts_job_id ON public.transcoding_attempts USING btree (job_id);

CREATE INDEX ix_transcoding_attempts_start ON public.transcoding_attempts USING btree (started_at);

CREATE INDEX ix_transcoding_attempts_worker ON public.transcoding_attempts USING btree (worker_id, started_at);

CREATE INDEX ix_transcoding_chunks_claim ON public.transcoding_chunks USING btree (kind, priority, index, job_id, tier, first_segment) WHERE ((status)::text = 'pending'::text);

CREATE INDEX ix_transcoding_chunks_job_id ON public.transcoding_chunks USING btree (job_id);

CREATE INDEX ix_transcoding_chunks_lease ON public.transcoding_chunks USING btree (lease_expires_at) WHERE ((status)::text = 'running'::text);

CREATE INDEX ix_transcoding_jobs_claim_expires ON public.transcoding_jobs USING btree (claim_expires_at);

CREATE INDEX ix_video_tags_tag_id ON public.video_tags USING btree (tag_id);

CREATE INDEX ix_video_tags_video_id ON public.video_tags USING btree (video_id);

CREATE INDEX ix_videos_category_id ON public.videos USING btree (category_id);

CREATE INDEX ix_videos_created_at ON public.videos USING btree (created_at);

CREATE INDEX ix_videos_deleted_at ON public.videos USING btree (deleted_at);

CREATE INDEX ix_videos_public ON public.videos USING btree (published_at DESC, id DESC) WHERE ((deleted_at IS NULL) AND watchable);

CREATE INDEX ix_videos_published_at ON public.videos USING btree (published_at);

CREATE INDEX ix_videos_status ON public.videos USING btree (status);

CREATE INDEX ix_worker_api_keys_key_prefix ON public.worker_api_keys USING btree (key_prefix);

CREATE INDEX ix_worker_api_keys_worker_id ON public.worker_api_keys USING btree (worker_id);

CREATE INDEX ix_workers_last_heartbeat ON public.workers USING btree (last_heartbeat);

CREATE INDEX ix_workers_status ON public.workers USING btree (status);

CREATE TRIGGER tr_tags_search AFTER UPDATE OF name ON public.tags FOR EACH ROW WHEN (((old.name)::text <> (new.name)::text)) EXECUTE FUNCTION public.search_tag_renamed();

CREATE TRIGGER tr_video_tags_search AFTER INSERT OR DELETE OR UPDATE ON public.video_tags FOR EACH ROW EXECUTE FUNCTION public.search_tag_given();

CREATE TRIGGER tr_videos_search_inserted AFTER INSERT ON public.videos FOR EACH ROW EXECUTE FUNCTION public.search_video_written();

CREATE TRIGGER tr_videos_search_updated AFTER UPDATE OF title, description ON public.videos FOR EACH ROW WHEN ((((old.title)::text <> (new.title)::text) OR (old.description <> new.description))) EXECUTE FUNCTION public.search_video_written();

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissio_permission_id_84c5c92e_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_b120cbf9_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_2f476e4b_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_group_id_97559544_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_6a12ed8b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permi_permission_id_1fbb5f2c_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_a95ead1b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_content_type_id_c4bce8eb_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_user_id_c564eba6_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.archive_entries
    ADD CONSTRAINT fk_archive_entries_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.cues
    ADD CONSTRAINT fk_cues_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.daily_views
    ADD CONSTRAINT fk_daily_views_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.playback_sessions
    ADD CONSTRAINT fk_playback_sessions_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.playback_sessions
    ADD CONSTRAINT fk_playback_sessions_viewer_id FOREIGN KEY (viewer_id) REFERENCES public.viewers(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quality_progress
    ADD CONSTRAINT fk_quality_progress_job_id FOREIGN KEY (job_id) REFERENCES public.transcoding_jobs(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.search_documents
    ADD CONSTRAINT fk_search_documents_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.storage_entries
    ADD CONSTRAINT fk_storage_entries_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcoding_attempts
    ADD CONSTRAINT fk_transcoding_attempts_chunk_id FOREIGN KEY (chunk_id) REFERENCES public.transcoding_chunks(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcoding_attempts
    ADD CONSTRAINT fk_transcoding_attempts_job_id FOREIGN KEY (job_id) REFERENCES public.transcoding_jobs(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcoding_attempts
    ADD CONSTRAINT fk_transcoding_attempts_worker_id FOREIGN KEY (worker_id) REFERENCES public.workers(worker_id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcoding_chunks
    ADD CONSTRAINT fk_transcoding_chunks_job_id FOREIGN KEY (job_id) REFERENCES public.transcoding_jobs(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcoding_chunks
    ADD CONSTRAINT fk_transcoding_chunks_worker_id FOREIGN KEY (worker_id) REFERENCES public.workers(worker_id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcoding_jobs
    ADD CONSTRAINT fk_transcoding_jobs_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcoding_jobs
    ADD CONSTRAINT fk_transcoding_jobs_worker_id FOREIGN KEY (worker_id) REFERENCES public.workers(worker_id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.transcriptions
    ADD CONSTRAINT fk_transcriptions_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.video_qualities
    ADD CONSTRAINT fk_video_qualities_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.video_tags
    ADD CONSTRAINT fk_video_tags_tag_id FOREIGN KEY (tag_id) REFERENCES public.tags(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.video_tags
    ADD CONSTRAINT fk_video_tags_video_id FOREIGN KEY (video_id) REFERENCES public.videos(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.videos
    ADD CONSTRAINT fk_videos_category_id FOREIGN KEY (category_id) REFERENCES public.categories(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.worker_api_keys
    ADD CONSTRAINT fk_worker_api_keys_worker_id FOREIGN KEY (worker_id) REFERENCES public.workers(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT fk_workers_current_job_id FOREIGN KEY (current_job_id) REFERENCES public.transcoding_jobs(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;

