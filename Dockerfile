# The page and the API (serve.py), on a CPU; docs/install.md has the commands. With a GPU: --build-arg TORCH_INDEX= and
# `docker run --gpus all`.
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /qwen-svg
COPY requirements.txt ./
COPY requirements requirements
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url $TORCH_INDEX} -r requirements/serve.txt
COPY . .
VOLUME ["/qwen-svg/outputs", "/qwen-svg/models", "/qwen-svg/data"]
EXPOSE 8000
ENTRYPOINT ["python"]
CMD ["serve.py", "--host", "0.0.0.0"]
