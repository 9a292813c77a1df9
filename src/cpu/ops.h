/* The ops of the CPU backend, as struct backend wants them. Private to cpu/. */
#pragma once
#include "ops/backend.h"

void cpu_embed(struct step *s, const struct embed_args *a);
void cpu_rope_rows(struct step *s, const struct rope_rows_args *a);
void cpu_hc_mix(struct step *s, const struct hc_mix_args *a);
void cpu_hc_join(struct step *s, const struct hc_join_args *a);
void cpu_project(struct step *s, const struct project_args *a);
void cpu_project_grouped(struct step *s, const struct project_grouped_args *a);
void cpu_norm(struct step *s, const struct norm_args *a);
void cpu_rows_append(struct step *s, const struct rows_append_args *a);
void cpu_rows_keep(struct step *s, const struct rows_keep_args *a);
void cpu_compress(struct step *s, const struct compress_args *a);
void cpu_query(struct step *s, const struct query_args *a);
void cpu_select(struct step *s, const struct select_args *a);
void cpu_attend(struct step *s, const struct attend_args *a);
void cpu_route(struct step *s, const struct route_args *a);
void cpu_experts(struct step *s, const struct experts_args *a);
void cpu_expect(struct step *s, const struct expect_args *a);
void cpu_head(struct step *s, const struct head_args *a);
void cpu_mtp_streams(struct step *s, const struct mtp_streams_args *a);
void cpu_mtp_join(struct step *s, const struct mtp_join_args *a);
