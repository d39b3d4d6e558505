# The functions as one image, which AWS Lambda starts with a handler as its command (infra/code/image.yml). `npm run package` puts
# this file, the bundle and the configuration into build/image; infra/build-image.sh builds it there.
#
# BASE has no default: an image that is not named by its digest is another one tomorrow. The script asks the registry for the digest
# of public.ecr.aws/lambda/nodejs:24 and prints it; keep it with the release, and give it again (BASE=...) for the same image.
ARG BASE
FROM ${BASE}
COPY --chmod=555 . ${LAMBDA_TASK_ROOT}/
# Lambda runs every image as a user without rights; so does everybody else who runs this one. 65534 is nobody.
USER 65534:65534
CMD ["plan.handler"]
